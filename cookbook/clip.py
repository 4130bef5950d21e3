"""CLIP: picture and text: which part of a picture fits a sentence.

Explain the cosine of the picture's embedding and the text's. The picture side is a ViT, so drop its class token and
stop before its last attention.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

model = CLIPModel.from_pretrained("openai/clip-vit-base-patch32").eval()  # yours
processor = CLIPProcessor.from_pretrained("openai/clip-vit-base-patch32")  # yours
layer = model.vision_model.encoder.layers[-1].layer_norm1  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
words = "a photo of a cat"  # yours

given = processor(text=[words], images=image, return_tensors="pt")
x = given["pixel_values"].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    output = model(**{**given, "pixel_values": x})
score = torch.cosine_similarity(output.image_embeds, output.text_embeds)[0]
(g,) = torch.autograd.grad(score, kept["A"])
rows, columns = (side // model.config.vision_config.patch_size for side in x.shape[2:])
A, g = kept["A"][0, -rows * columns :].detach(), g[0, -rows * columns :]
cam = (A * g.mean(dim=0)).sum(dim=1).view(rows, columns)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"{words}: {score:.2f}")
plt.savefig("clip.png")
