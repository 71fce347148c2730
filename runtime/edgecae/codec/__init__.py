"""The two halves of an autoencoder as a codec, and the file that its latent is kept in."""
