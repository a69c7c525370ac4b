gradcam
