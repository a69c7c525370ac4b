gradcam help explian
