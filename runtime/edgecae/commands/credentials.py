"""Tokens and passwords that come another way than the command line, which all users can read."""

from __future__ import annotations

import os
from pathlib import Path

from edgecae.commands import hidden
from edgecae.errors import SettingError
from edgecae.redact import secrets_in

__all__ = ["TOKEN_VARIABLE", "expanded", "view_token"]

TOKEN_VARIABLE = "EDGECAE_TOKEN"  # noqa: S105
"""Of the environment."""

_CREDENTIAL = "token"
_MAX_BYTES = 4096


def view_token(file: Path | None) -> str | None:
    """Find the token of a view that was given none.

    It is the first line of ``file``, else ``EDGECAE_TOKEN``, else systemd's credential ``token``.

    Returns:
        None: there is none of them, or the credential is empty.

    Raises:
        SettingError: the file can't be read, or is empty.
    """
    if file is not None:
        token = _first_line(file)
        if not token:
            raise SettingError(f"token file {file}: its first line is empty")
    else:
        token = os.environ.get(TOKEN_VARIABLE, "")
        credential = _credential(_CREDENTIAL)
        if not token and credential is not None and credential.is_file():
            token = _first_line(credential)
    hidden.hide(token)
    return token or None


def expanded(description: str) -> str:
    """Replace ``@FILE`` by the first line of that file: the description of a source or a sink.

    ``@NAME`` without a slash is systemd's credential of that name, if there is one.

    Raises:
        SettingError: the file can't be read, or is empty.
    """
    if not description.startswith("@"):
        return description
    name = description[1:]
    credential = _credential(name) if "/" not in name else None
    file = credential if credential is not None and credential.is_file() else Path(name)
    line = _first_line(file)
    if not line:
        raise SettingError(f"{description}: its first line is empty")
    hidden.hide(*secrets_in(line))
    return line


def _credential(name: str) -> Path | None:
    """Where systemd puts a credential of its unit; None outside of such a unit."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder, name) if folder else None


def _first_line(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES).decode()
    except OSError as error:
        raise SettingError(f"{file} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingError(f"{file} is no text") from None
    return (content.splitlines() or [""])[0].strip()
