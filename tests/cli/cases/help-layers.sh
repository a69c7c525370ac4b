gradcam layers --help
