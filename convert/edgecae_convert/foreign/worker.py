"""The process that opens, runs and converts a network that somebody else made.

    python -m edgecae_convert.foreign.worker DESCRIPTOR FOLDER FILE

It answers one request after another on a socket, and ends when the other side closes it.
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgecae_convert.foreign import sandbox

MAX_THREADS = 8
"""Each has a stack that counts as memory."""


def main(descriptor: int, folder: Path, path: Path) -> None:
    """Enter the sandbox, then import TensorFlow and serve.

    Args:
        descriptor: of the socket.
        folder: to write in.
        path: of the file.
    """
    sandbox.enter(folder)
    with Connection(descriptor) as connection:
        _serve(connection, folder, path)


def _serve(connection: Connection[Any, Any], folder: Path, path: Path) -> None:
    from edgecae.errors import EdgecaeError
    from edgecae_convert.foreign import messages

    network: Any = None
    while True:
        try:
            about, payload = messages.unpack(connection.recv_bytes())
        except EOFError:
            return
        try:
            if about["do"] == "copy weights":
                answer = messages.pack({"name": _copy_weights(path, folder)})
            elif about["do"] == "open":
                network = _Network(path, folder, about["signature"], tuple(about["range"]))
                known = {"stride": network.stride, "size": network.size}
                answer = messages.pack({**known, "channels": network.network.channels})
                sandbox.more_memory()
            elif about["do"] == "run":
                answer = messages.pack({}, network.run(messages.array(about, payload)).numpy())
            else:
                answer = messages.pack({}, network.to_tflite(about, connection))
        except EdgecaeError as error:
            answer = messages.pack({"error": str(error), "kind": type(error).__name__})
        except MemoryError:
            answer = messages.pack({"error": f"{path} needs more memory than is allowed"})
        except Exception as error:  # whatever a network leads TensorFlow to
            answer = messages.pack({"error": f"{path} can't be run: {messages.brief(error)}"})
        connection.send_bytes(answer)


def _copy_weights(path: Path, folder: Path) -> str:
    from edgecae.errors import RecipeError
    from edgecae_convert.foreign import keras_file

    try:
        return keras_file.safe_weights(path, folder).name
    except MemoryError:
        raise
    except Exception as error:  # whatever damaged bytes lead HDF5 to
        raise RecipeError(f"{path} is no file of weights, or is damaged: {error}") from error


class _Network:
    """A network that is loaded.

    Args:
        path: of the file.
        folder: for a copy that is safe to load.
        signature: of a SavedModel, see :func:`edgecae_convert.foreign.reading.load`.
        value_range: what black and white are to the network.
    """

    def __init__(
        self, path: Path, folder: Path, signature: str, value_range: tuple[float, float]
    ) -> None:
        from edgecae_convert.foreign import reading
        from edgecae_train._tf import tf

        tf.config.threading.set_intra_op_parallelism_threads(MAX_THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(2)
        self.network, shape = reading.load(path, folder, signature, value_range)
        self.stride, self.size = reading.stride_and_size(path, self.network, shape)
        self.run = tf.function(
            lambda frame: self.network(frame),
            input_signature=[tf.TensorSpec([1, None, None, 3])],
        )

    def to_tflite(self, about: dict[str, Any], connection: Connection[Any, Any]) -> bytes:
        """Convert it; pictures to calibrate on follow the request."""
        from edgecae_convert import export
        from edgecae_convert.foreign import messages

        received = (connection.recv_bytes() for _ in range(about["examples"]))
        pictures = [messages.array(*messages.unpack(each)) for each in received]
        size = about["size"] and tuple(about["size"])
        examples = (lambda: iter(pictures)) if pictures else None
        return export.to_tflite(self.network, about["precision"], size, examples)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
