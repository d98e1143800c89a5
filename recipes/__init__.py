"""The recipes train and measure the published models, with one command that continues until its time is over."""

# Which models each stage trains. A model's settings lie in OBJECTIVE/MODEL.yaml; where there are several, MODEL.VARIANT.yaml, the
# best run becomes the model. The last stage measures all that there are.
MODELS = {
    "natural": ("natural-resnet18", "natural-mobilenetv2"),
    "teacher": ("at-resnet18d",),
    "students": ("gacd-resnet18", "gacd-mobilenetv2"),
    "anchored": ("fare-resnet18", "anchored-resnet18"),
}
MEASURE = "measure"
STAGES = (*MODELS, MEASURE)
