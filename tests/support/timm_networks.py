"""One of timm's networks of each kind, for the tests that try all of them."""

from stages.gallery.saliency import GRAD_CAM, INPUT_GRADIENT

# An image size that it takes, the head that timm names, a layer to freeze, where saliency looks.
KINDS = {
    "resnet18": (48, "fc", "layer2", GRAD_CAM),
    "tf_efficientnet_lite0": (48, "classifier", "blocks.2", GRAD_CAM),
    "mobilenetv4_conv_small": (48, "classifier", "blocks.2", GRAD_CAM),
    "convnextv2_atto": (64, "head.fc", "stages.1", GRAD_CAM),
    "test_mambaout": (64, "head.fc", "stages.1", INPUT_GRADIENT),
    "test_vit": (64, "head", "blocks.2", INPUT_GRADIENT),
    "test_vit2": (64, "head", "blocks.2", INPUT_GRADIENT),
    "vit_small_patch14_dinov2": (518, "head", "blocks.5", INPUT_GRADIENT),
    "vit_base_patch16_siglip_224": (224, "head", "blocks.5", INPUT_GRADIENT),
    "swin_tiny_patch4_window7_224": (224, "head.fc", "layers.1", INPUT_GRADIENT),
    "vit_small_r26_s32_224": (224, "head", "blocks.5", INPUT_GRADIENT),
    "mobilevit_xxs": (64, "head.fc", "stages.1", GRAD_CAM),
}
# Their shapes are looked at, and no more.
LARGE = ("vit_small_patch14_dinov2", "vit_base_patch16_siglip_224", "vit_small_r26_s32_224")
