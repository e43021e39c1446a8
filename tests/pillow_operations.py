"""The oracle for image operations: what Pillow makes of one image, uint8 [h, w, c]."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

GREY = 128


def pillow(image, name, amount):
    """One operation by Pillow's own functions; `amount` as in `data.image_operations.Operation`."""
    source = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    grey = (GREY,) * image.shape[2]

    def affine(*matrix):
        return source.transform(source.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=grey)

    made = {
        "Identity": lambda: source,
        "ShearX": lambda: affine(1, amount, 0, 0, 1, 0),
        "ShearY": lambda: affine(1, 0, 0, amount, 1, 0),
        "TranslateX": lambda: affine(1, 0, amount * source.width, 0, 1, 0),
        "TranslateY": lambda: affine(1, 0, 0, 0, 1, amount * source.height),
        "Rotate": lambda: source.rotate(amount, Image.Resampling.NEAREST, fillcolor=grey),
        "Invert": lambda: ImageOps.invert(source),
        "Solarize": lambda: ImageOps.solarize(source, amount),
        "Posterize": lambda: ImageOps.posterize(source, int(amount)),
        "AutoContrast": lambda: ImageOps.autocontrast(source),
        "Equalize": lambda: ImageOps.equalize(source),
        "Contrast": lambda: ImageEnhance.Contrast(source).enhance(amount),
        "Color": lambda: ImageEnhance.Color(source).enhance(amount),
        "Brightness": lambda: ImageEnhance.Brightness(source).enhance(amount),
        "Sharpness": lambda: ImageEnhance.Sharpness(source).enhance(amount),
    }[name]()
    return np.asarray(made).reshape(image.shape)
