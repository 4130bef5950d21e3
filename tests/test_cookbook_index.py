"""The cookbook's index: every symptom is provoked and explained by the row's words, every error is the one raised."""

import re
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import matplotlib
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.feature_extraction import create_feature_extractor

import lessons_lib as ll
from lessons_lib.core.engine.calling import RECIPES
from lessons_lib.teach.cookbook import _tell_figures
from lessons_lib.teach.stand_ins import Page
from tools.cookbook import cells_of, recipes

pytestmark = pytest.mark.slow

CELLS = cells_of()
ROW = re.compile(r"^\| (.+?) \| (.+?) \| \[(.+?)\]\(#(.+?)\) \| (?:\[(\d\d)\]\((.+?)\)|(\d\d)) \|$", re.MULTILINE)
X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def rows(cell: str) -> dict[str, tuple[str, str]]:
    """Return the rows of an index: what stands first, without its marks, the words beside it, and the heading."""
    return {first.strip("*`"): (words, anchor) for first, words, _, anchor, *_ in ROW.findall(CELLS[cell])}


@cache
def net() -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()


@cache
def model() -> ll.Explainable:
    return ll.models.imagenet()


@cache
def scene() -> ll.Photo:
    return ll.collage.scene(8, count=3, background="brick")


def gradcam(target: Callable[[Tensor], Tensor], x: Tensor = X, network: nn.Module | None = None) -> Tensor:
    """Return Grad-CAM as the recipes write it."""
    network, kept = network or net(), {}
    with network[0].register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
        score = target(network(x.clone().requires_grad_()))
    (g,) = torch.autograd.grad(score, kept["A"])
    return (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1).detach()


def blank(*args: Any, **options: Any) -> str:
    """Return what the library says of a blank map."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        heat = ll.explain(*args, **options)
    assert not heat.positive.any() or "rounding" in str(caught[0].message)
    return str(caught[0].message).partition(" is blank: ")[2]


def sure() -> str:
    probability = lambda output: (10_000 * output).softmax(0)[output.argmax()]  # noqa: E731
    assert not gradcam(lambda output: (10_000 * output[0]).softmax(0).max()).any()
    return blank(net(), X[0], probability, layer="0")


def against() -> str:
    network = deepcopy(net())
    network[3].weight.data = -network[3].weight.data.abs()
    assert (gradcam(lambda output: output[:, 0].sum(), network=network) <= 0).all()
    return blank(network, X[0], 0, layer="0")


def no_class() -> str:
    one, other = (ll.explain(model(), ll.photos.cat(), aim, method=ll.eigencam) for aim in ("tabby", "teapot"))
    assert torch.equal(one.values, other.values)
    return "the method takes no class"


def attention() -> str:
    vit = ll.models.vit()
    first = ll.attention_rollout(vit, scene())
    vit.network.heads.head.weight.data = torch.randn_like(vit.network.heads.head.weight)
    assert torch.equal(first.values, ll.attention_rollout(vit, scene()).values)
    return "a head of noise gives the same map"


def unlearned() -> str:
    photo, random = ll.photos.cat(), ll.models.imagenet()
    learned = [make(model(), photo, "tabby").values.flatten() for make in (ll.baselines.guided_backprop, ll.explain)]
    torch.manual_seed(0)
    random.network.classifier.reset_parameters()
    forgot = [make(random, photo, "tabby").values.flatten() for make in (ll.baselines.guided_backprop, ll.explain)]
    guided, grad = (float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(learned, forgot, strict=True))
    assert guided > 0.9 > grad
    return "guided backpropagation"


def violin() -> str:
    table = ll.metrics.stored("copies")["bn2"]["gradcam_plus_plus"]
    assert table["control"] > 0.9 * table["reached 0.5"]
    return "it shows where the network is active"


def shifted() -> str:
    heat = ll.explain(model(), ll.photos.coffee())
    right = heat.on_photo()
    wrong = F.interpolate(heat.positive[None, None], right.shape, mode="bilinear")[0, 0].numpy()
    assert not right[:, :50].any() and wrong[:, :50].any()  # the network never saw those columns
    return "the map was stretched over the whole photo"


def swapped() -> str:
    photo = ll.photos.coffee().image
    assert photo.size == (600, 400) and torch.as_tensor(ll.Preprocess()(photo)).shape == (3, 400, 600)
    return "Pillow's size is width × height, a tensor's shape is height × width"


def shifted_tokens() -> str:
    tokens = torch.zeros(1, 197, 1)
    tokens[0, 1 + 14 * 3 + 10] = 1  # the patch in row 3, column 10
    kept, dropped = (one.view(14, 14).argmax() for one in (tokens[:, :-1], tokens[:, 1:]))
    assert (divmod(int(dropped), 14), divmod(int(kept), 14)) == ((3, 10), (3, 11))
    return "the class token was kept"


def copies() -> str:
    table = ll.metrics.stored("copies")["bn2"]
    reached = {name: table[name]["reached 0.5"] for name in ("gradcam", "gradcam_plus_plus", "layercam")}
    assert min(reached, key=reached.__getitem__) == "gradcam"
    return "Grad-CAM++ and LayerCAM reach more copies"


def epsilon() -> str:
    A, g = X.relu(), 1e-3 * X.flip(0)
    exact = g**2 / (2 * g**2 + g**3 * A.sum((2, 3), keepdim=True))
    other = g**2 / (2 * g**2 + g**3 * A.sum((2, 3), keepdim=True) + 1e-6)
    assert (other / exact - 1).abs().median() > 0.1
    return "an epsilon of 1e-6 beside squared gradients"


def averaged() -> str:
    table = ll.metrics.stored("boxes")["three objects"]
    assert table["gradcam"]["own"] < 0.2 < 0.6 < table["hirescam"]["own"]
    return "Grad-CAM averages the place away"


def swamped() -> str:
    aims = [ll.BoxScore(0), ll.BoxScore(1)]
    first, second = ll.explain(ll.models.detector(), scene(), aims, method=ll.hirescam)
    both = ll.explain(ll.models.detector(), scene(), lambda output: output["scores"][:2].sum(), method=ll.hirescam)
    assert torch.allclose(both.values, first.values + second.values, atol=1e-4 * float(both.values.max()))
    return "the map of a sum of scores is the sum of the maps"


def answer() -> str:
    segmenter = ll.models.segmenter()
    heat = ll.explain(segmenter, scene(), ll.PixelScore(117, 150, "cat"), layer="classifier.4", method=ll.gradcam)
    logits = segmenter.network.classifier(segmenter.network.backbone(segmenter.transform(scene().image)[None])["out"])
    told = torch.stack([heat.values.flatten(), logits[0, 1].detach().flatten()])
    assert torch.corrcoef(told)[0, 1] > 0.99
    return "the layer is too late: there it is the answer"


def first_only() -> str:
    maps = gradcam(lambda output: output[0, 0])
    assert maps[0].any() and not maps[1].any()
    return "the gradient of the others is zero"


def mixed() -> str:
    network = net().train()
    try:
        alone, together = gradcam(lambda o: o[0, 0], X[:1]), gradcam(lambda o: o[0, 0])
        network.eval()
        same = torch.allclose(gradcam(lambda o: o[0, 0], X[:1])[0], gradcam(lambda o: o[0, 0])[0], atol=1e-6)
    finally:
        network.eval()
    assert not torch.allclose(alone[0], together[0], atol=1e-4) and same
    return "batch norm mixes the pictures"


def coarse() -> str:
    late, early = ll.at_layers(model(), ll.photos.cat(), "tabby", layers=["bn2", "blocks.4"])
    assert (late.values.numel(), early.values.numel()) == (49, 4 * 49)
    return "an earlier one has four times as many"


def stretched() -> str:
    one, other = (ll.explain(model(), ll.photos.cat(), aim) for aim in ("tiger cat", "espresso"))
    assert other.positive.max() < 0.2 * one.positive.max() and one.normalised().max() == other.normalised().max() == 1
    return "each was divided by its own peak"


def dull() -> str:
    cam = 1e-8 * ll.explain(model(), ll.photos.cat(), "tabby").positive
    assert (cam / (cam.max() + 1e-7)).max() < 0.5
    return "divided by its peak plus an epsilon"


def mean_cell() -> str:
    cells = ll.capture.run(model().network, model().transform(ll.photos.cat().image)[None], "bn2").activations[0]
    cells = cells.flatten(1).T
    V1 = torch.linalg.svd(cells, full_matrices=False).Vh[0]
    assert torch.cosine_similarity(V1, cells.mean(0), dim=0).abs() > 0.9
    return "the strongest direction is the mean cell"


def flicker() -> str:
    peaks = gradcam(lambda output: output[:, 0].sum(), torch.cat([X, 0.2 * X])).amax(dim=(1, 2))
    assert peaks.max() > 1.1 * peaks.min()
    return "each frame was divided by its own peak"


def opencv() -> str:
    photo = ll.photos.coffee()
    turned = replace(photo, image=Image.merge("RGB", photo.image.split()[::-1]), objects=())
    right, wrong = (ll.explain(model(), one, "espresso").score for one in (photo, turned))
    assert wrong < right
    return "blue, green, red"


def overwritten() -> str:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    kept: dict[str, Tensor] = {}
    network[0].register_forward_hook(lambda module, inputs, output: kept.update(A=output))
    network(X)
    assert kept["A"].min() == 0
    return "an in-place ReLU behind the layer has overwritten"


def overflow() -> str:
    assert torch.full((2,), 60_000.0).half().sum().isinf()
    return "a sum in float16 overflows at 65,504"


def leaking() -> str:
    layer = nn.Conv2d(3, 4, 1)
    calls: list[int] = []
    for _ in range(2):
        layer.register_forward_hook(lambda *_: calls.append(1))
    layer(X)
    with layer.register_forward_hook(lambda *_: None):
        pass
    assert len(calls) == len(layer._forward_hooks) == 2
    return "never removed"


def slow() -> str:
    runs = 0

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal runs
        runs += len(output)

    with net().register_forward_hook(count):
        ll.explain(net(), X[0], 0, layer="0", method=ll.scorecam)
    assert runs >= 8
    return "the whole network once for each map"


def left() -> str:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(1024, 2))
    torch.autograd.grad(network(X).sum(), network[0].bias)
    assert all(weight.grad is None for weight in network.parameters())
    network(X).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    return "`backward()` goes through the whole network"


SYMPTOMS: dict[str, Callable[[], str]] = {
    "The map is blank though the network is sure": sure,
    "The map of my ViT is blank": lambda: blank(ll.models.vit(), scene(), "cat", layer="encoder.layers"),
    "Blank, though there is a gradient": against,
    "HiResCAM or LayerCAM of a Swin is blank or dotted": lambda: blank(
        ll.models.swin(), scene(), "cat", layer="features.5.1", method=ll.hirescam
    ),
    "The map is the same for every class": no_class,
    "The attention map is the same for every class": attention,
    "The map stays when the weights are random": unlearned,
    "The map for a class that is not there looks as good": violin,
    "The heat is shifted or squeezed": shifted,
    "Rows and columns are swapped": swapped,
    "Everything is shifted by one patch": shifted_tokens,
    "The map shows only one of several objects": copies,
    "My Grad-CAM++ is not the other package's": epsilon,
    "Heat all over the picture for one box": averaged,
    "One object swamps all others in detection": swamped,
    "A segmentation's map is the mask again": answer,
    "Only the first picture of my batch has a map": first_only,
    "The map changes with the other pictures in the batch": mixed,
    "The map is coarse, 7 × 7 blocks": coarse,
    "Two maps look equally strong and are not": stretched,
    "The map is dull, its peak below 1": dull,
    "Eigen-CAM shows the background": mean_cell,
    "The film flickers": flicker,
    "Wrong class on pictures from OpenCV": opencv,
    "No negative values where there should be some": overwritten,
    "NaN or infinity in half precision": overflow,
    "Memory grows, or the hook fires twice": leaking,
    "It takes minutes": slow,
    "Weights have a `.grad` afterwards": left,
}


def test_every_symptom_has_its_test() -> None:
    assert list(rows("symptoms")) == list(SYMPTOMS)


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_a_symptom_is_provoked_and_its_row_says_why(symptom: str) -> None:
    cause, (words, _) = SYMPTOMS[symptom](), rows("symptoms")[symptom]
    quoted = re.findall(r"\*(.+?)\*", words)
    if quoted:  # a sentence of the library, of which the row may leave out the layer's name
        said = re.sub(r" at [\w.]+\b", "", cause)
        assert all(re.sub(r" at the layer", "", part) in said for part in quoted), cause
    else:
        assert cause in words


class WithNumbers(nn.Module):
    def forward(self, picture: Tensor, numbers: Tensor) -> Tensor:
        return picture.mean() + numbers


def frozen() -> None:
    network = nn.Conv2d(3, 4, 1).requires_grad_(False)
    network(X).sum().backward()


def inference() -> None:
    with torch.inference_mode():
        x = X.clone()
    net()(x)


def unused() -> None:
    A = X.clone().requires_grad_()
    torch.autograd.grad(A.sum(), A.view(-1))


def twice() -> None:
    A = X.clone().requires_grad_()
    logits = (A**2).sum(dim=(1, 2, 3))
    for label in range(2):
        torch.autograd.grad(logits[label], A)


def viewed() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    network[0].register_full_backward_hook(lambda *_: None)
    network(X)


def changed() -> None:
    A = X.clone().requires_grad_().exp()
    A.clamp_(min=0)
    score = A.sum()
    torch.autograd.grad(score, A)
    B = X.clone().requires_grad_()
    seen = B.exp()
    score = seen.sum()
    seen.relu_()
    score.backward()


def no_box() -> Any:
    empty = ll.models.detector().network
    return empty([torch.zeros(3, 224, 224)])[0]["scores"][0]


def tupled() -> Any:
    output: Any = (net()(X), X)
    return output[0, 281]


def training() -> None:
    nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3)).train()(X[:1])


def damaged() -> None:
    Image.open(BytesIO(b"no picture"))


def branching() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    create_feature_extractor(Branching(), ["x"])


ERRORS: dict[str, Callable[[], Any]] = {
    "element 0 of tensors does not require grad and does not have a grad_fn": frozen,
    "Inference tensors cannot be saved for backward": inference,
    "appears to not have been used in the graph": unused,
    "Trying to backward through the graph a second time": twice,
    "grad can be implicitly created only for scalar outputs": lambda: torch.autograd.grad(
        net()(X.clone().requires_grad_()), net()[0][0].weight
    ),
    "Can't call numpy() on Tensor that requires grad": lambda: net()(X).numpy(),
    "shape '[1, 14, 14, 768]' is invalid for input of size": lambda: torch.zeros(1, 197, 768).reshape(1, 14, 14, 768),
    "is a view and is being modified inplace": viewed,
    "one of the variables needed for gradient computation has been modified by an inplace operation": changed,
    "'collections.OrderedDict' object has no attribute 'argmax'": lambda: (
        ll.models.segmenter().network(torch.zeros(1, 3, 64, 64)).argmax(1)
    ),
    "tuple indices must be integers or slices, not tuple": tupled,
    "index 0 is out of bounds for dimension 0 with size 0": no_box,
    "'DataParallel' object has no attribute 'layer4'": lambda: nn.DataParallel(net()).layer4,
    "missing 1 required positional argument": lambda: WithNumbers()(X),
    "mat1 and mat2 shapes cannot be multiplied": lambda: ll.models.flat_cnn(trained=False).network(
        torch.zeros(1, 3, 224, 224)
    ),
    "Expected more than 1 value per channel when training": training,
    "Input type (float) and bias type (c10::BFloat16) should be the same": lambda: nn.Conv2d(3, 4, 1).bfloat16()(X),
    "Expected 4D (unbatched) or 5D (batched) input to conv3d": lambda: nn.Conv3d(1, 4, 1)(torch.zeros(8, 8, 8)),
    "stack expects each tensor to be equal size": lambda: torch.stack([X[0], X[0, :, 1:]]),
    "cannot identify image file": damaged,
    "symbolically traced variables cannot be used as inputs to control flow": branching,
    "CAM needs a network that goes from layer": lambda: ll.explain(
        ll.models.flat_cnn(trained=False), scene(), 0, method=ll.cam
    ),
    "it has no rows and columns to draw": lambda: ll.layouts.nchw(torch.zeros(1, 768)),
    "None of the layers of this": lambda: ll.explain(Wrapper(), X, 0),
    "nothing in the picture moves it": lambda: ll.explain(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Zeros()), X, 0
    ),
}


class Zeros(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * x


class Wrapper(nn.Module):
    """Runs a copy of the network that it holds, as YOLO's wrapper does."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.runs = net(), [nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())]

    def forward(self, x: Tensor) -> Tensor:
        return self.runs[0](x)


def test_every_error_has_its_test() -> None:
    assert list(rows("errors")) == list(ERRORS)


@pytest.mark.parametrize("message", ERRORS)
def test_an_error_is_the_one_that_is_raised(message: str) -> None:
    with pytest.raises(Exception) as raised:
        ERRORS[message]()
    assert message in str(raised.value)


QUESTIONS = {
    "I get an empty CAM although the prediction's confidence is 100 %": "The map is blank though the network is sure",
    "Why are the maps identical no matter which class index I pass?": "The map is the same for every class",
    "RuntimeError in backward, my backbone is frozen": (
        "element 0 of tensors does not require grad and does not have a grad_fn"
    ),
    "The heatmap does not line up with the object in the uncropped picture": "The heat is shifted or squeezed",
    "reshape_transform fails with a ViT of 384 pixels": "shape '[1, 14, 14, 768]' is invalid for input of size",
    "Why does only image 0 of the batch get a heatmap?": "Only the first picture of my batch has a map",
    "How do I explain a single bounding box of Faster R-CNN?": "why this box, in a two-stage detector",
    "DeepLab returns a dict, and the CAM crashes": "'collections.OrderedDict' object has no attribute 'argmax'",
    "I have 50,000 images and the script died over night": "maps of thousands of pictures",
    "Is my saliency map just an edge detector?": "The map stays when the weights are random",
}
"""Ten questions as the packages' trackers hold them, in our words, and the entry of the index that answers each."""

ANSWERS = ["logit", "eigencam", "frozen", "map_back", "vit", "batch", "faster_rcnn", "segmentation_region"]
ANSWERS += ["many_pictures", "sanity"]


@pytest.mark.parametrize(("question", "recipe"), list(zip(QUESTIONS, ANSWERS, strict=True)))
def test_a_question_of_a_tracker_leads_to_its_recipe_in_one_step(question: str, recipe: str) -> None:
    found = {entry: anchor for cell in ("symptoms", "errors", "tasks") for entry, anchor in entries(cell)}
    assert found[QUESTIONS[question]] == recipes()[recipe].title.replace(" ", "-")


def entries(cell: str) -> list[tuple[str, str]]:
    """Return the entries of a list of the index, each with the heading that it leads to."""
    found = re.findall(r"^\| (.+?) \| .*?\[[^\]]+\]\(#(\S+?)\) \|", CELLS[cell], re.MULTILINE)
    return [(entry.strip("*`"), anchor) for entry, anchor in found]


def test_every_recipe_is_in_the_index_once_by_task_and_every_entry_leads_to_a_heading() -> None:
    headings = {one.title.replace(" ", "-"): name for name, one in recipes().items()}
    by_task = [anchor for _, anchor in entries("tasks")]
    assert sorted(headings[anchor] for anchor in by_task) == sorted(recipes())
    for cell in ("symptoms", "errors"):
        assert {anchor for _, anchor in entries(cell)} <= set(headings)


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = {line.lstrip("# ").replace(" ", "-") for text in CELLS.values() for line in text.splitlines()}
    targets = {target for text in CELLS.values() for target in re.findall(r"\]\(#(\S+?)\)", text)}
    assert targets <= headings


def test_the_recipes_that_errors_name_stand_in_the_cookbook() -> None:
    headings = re.findall(r"^### (.+)$", "\n".join(CELLS.values()), re.MULTILINE)
    assert set(RECIPES.values()) <= set(headings)


def test_the_page_s_figures_are_small_and_its_vision_transformer_takes_the_recipes_pictures() -> None:
    with matplotlib.rc_context():
        _tell_figures(SimpleNamespace(display_formatter=DisplayFormatter()))
        assert tuple(matplotlib.rcParams["figure.figsize"]) == (4.6, 3.6)
        assert (matplotlib.rcParams["figure.dpi"], matplotlib.rcParams["axes.titlesize"]) == (80, 10)
    with torch.no_grad():
        assert Page(lambda name: nn.Identity()).registers(torch.zeros(1, 3, 224, 224)).shape == (1, 5)
