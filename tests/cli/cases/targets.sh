gradcam targets
