"""Data sets that are too large for the memory: ImageNet, WebVision, lists and folders of images, read as they are used.

index          where n images are, with their labels
records        an index of the images inside TFRecord files
ilsvrc         ImageNet ILSVRC2012 as TFRecords (slim, tensorflow-datasets) or folders
webvision      WebVision 1.0 in its official layout
clothing1m     Clothing1M in its official layout
isic2019       the training data of the ISIC challenge of 2019
listing        people's own lists (csv) and folders
dataset        what all of these are turned into
sources        load(name) for all of them
labelling      the labels a run trains on
clean_images   a clean set, set apart from the noisy images
preprocessing  slim's ImageNet augmentation
published      what other papers do with images
reader         fetching and decoding in parallel
batches        deterministic, resumable batches
unreadable     what happens to images that cannot be decoded
"""
