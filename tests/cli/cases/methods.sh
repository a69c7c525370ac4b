gradcam methods
