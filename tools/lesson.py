"""Start a lesson from the template, which has the fixed order: make lesson NUMBER=11 NAME=can_you_trust_it"""

import re
import sys
from pathlib import Path

import nbformat

from tools.execute import tidy

ROOT = Path(__file__).parent.parent

# Cell id → what stands in it, in the order of CONTRIBUTING.md. Ids that end in -code are code.
TEMPLATE = {
    "plan": """## What you will do

- …

**You need** lessons … (…). About 40 minutes.""",
    "predict": """## Predict first

What is the case, in two or three sentences?

**Predict:** a question with two or three possible answers. Write yours down, then run the cells.""",
    "scene-code": """import lessons_lib as ll
from lessons_lib import collage

model = ll.models.imagenet()
scene = collage.scene(1)
ll.show.photo(scene)""",
    "equation": """## The equation

$$…$$

(equation …, authors, title, arXiv …)

| symbol | meaning | shape | here |
| --- | --- | --- | --- |
| $A$ | the feature maps | K × H × W | 1280 × 7 × 7 |""",
    "by-hand-code": """import torch

x = model.transform(scene.image)[None]  # 1 × 3 × 224 × 224
with torch.no_grad():
    A = model.network.forward_features(x)  # 1 × 1280 × 7 × 7""",
    "by-hand-seen": "What did the numbers show? Was the prediction right?",
    "library": """## The library gives the same numbers

Assert it on real data; the number that the library gives must be the one written by hand above.""",
    "library-code": """heat = ll.explain(model, scene)
assert heat.values.shape == A.shape[2:]
heat.show()""",
    "limits": """## Where it stops

- …""",
    "exercises": """## Exercises

### Exercise: …

What to write, and what to predict first. The question lives in `lessons_lib/teach/exercises/TOPIC.py`; here stand a
stub,

```python
def my_answer(activations):
    # activations: K × H × W. Return H × W.
    return ...


ll.check("topic.question", my_answer)
```

two folded hints, and a cell tagged `solution` that checks the right answer.

<details><summary>Hint 1</summary>…</details>
<br>
<details><summary>Hint 2</summary>…</details>""",
    "questions": "## Three questions\n\n"
    + "\n\n".join(f"**{n}.** …?\n\n<details><summary>Answer</summary>…</details>" for n in (1, 2, 3)),
    "seen": """## What you have seen

- …""",
    "references": """## References

- …, arXiv …: equation ….""",
}


def start(number: str, name: str, root: Path = ROOT) -> Path:
    """Write the notebook of a new lesson, linked to its neighbours as far as they exist; return its path.

    Args:
        number: two digits; numbers never change.
        name: the topic, in snake_case.
        root: the folder that holds README.md, whose table gives the lesson's question, and notebooks/.

    Raises:
        ValueError: number or name is none, or there is a lesson of that number; nothing is overwritten.
    """
    if not re.fullmatch(r"\d\d", number) or not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name):
        raise ValueError(
            f"NUMBER={number} NAME={name} names no lesson: give two digits and a topic in snake_case, "
            "make lesson NUMBER=11 NAME=can_you_trust_it"
        )
    lessons = {path.name[:2]: path for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    if number in lessons:
        raise ValueError(f"Lesson {number} is there already, {lessons[number].name}: take another number.")
    row = re.search(rf"^\| {number} \|.*\| (.+?) \|$", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    question = row[1] if row else f"{name.replace('_', ' ').capitalize()}?"
    before = [f"← {title(path)}" for n, path in lessons.items() if n < number][-1:]
    links = " · ".join(before + [f"{title(path)} →" for n, path in lessons.items() if n > number][:1])
    texts = {"title": f"# {number} · {question}\n\n{links}".rstrip(), **TEMPLATE}
    if links:
        texts["neighbours"] = links
    cells = []
    for each, text in texts.items():
        make = nbformat.v4.new_code_cell if each.endswith("-code") else nbformat.v4.new_markdown_cell
        cells.append(make(text, id=each))
    notebook = nbformat.v4.new_notebook(cells=cells)
    tidy(notebook)
    path = root / "notebooks" / f"{number}_{name}.ipynb"
    path.write_text(nbformat.writes(notebook, version=4).rstrip("\n") + "\n", encoding="utf-8")
    return path


def title(path: Path) -> str:
    """Return a lesson's title, linked."""
    first = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
    return f"[{first.removeprefix('# ')}]({path.name})"


def main(arguments: list[str]) -> int:
    try:
        number, name = [*arguments, "", ""][:2]
        path = start(number, name)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path.relative_to(ROOT)} is there. Still to do, as CONTRIBUTING.md says: fill it in, link to it from")
    print("both neighbours (first and last cell) and from the table in README.md, write its exercises, make notebooks.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
