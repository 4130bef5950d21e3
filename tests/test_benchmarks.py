"""The benchmark's table: made from the ratios of its rounds, written between the README's markers and nowhere else."""

import pytest

from benchmarks.gradcam import MAKERS, README, table, verdicts
from tools.pages import replaced

pytestmark = pytest.mark.slow

MEASURED = {("resnet50", 8): {maker: [float(n), n + 1.0, n + 2.0] for n, maker in enumerate(MAKERS, start=1)}}


def test_the_table_holds_medians_and_quartiles() -> None:
    assert "| resnet50, batch 8 | 2.00 (1.50–2.50) | 3.00 (2.50–3.50) | 4.00" in table(MEASURED, threads=2)
    assert "Median of 3 rounds" in table(MEASURED, threads=2)


def test_a_miss_is_told() -> None:
    said = "resnet50, batch 8: 2.00 × forward, over 1.15; not slower than pytorch-grad-cam, the fastest peer"
    assert verdicts(MEASURED) == said
    last = dict(zip(MAKERS, [[5.0, 6.0, 7.0], [1.0, 1.0, 1.0], [4.0, 4.0, 4.0], [3.0, 3.0, 3.0]], strict=True))
    assert "; slower than pytorch-grad-cam" in verdicts({("resnet50", 8): last})
    quick = {maker: [1.0, 1.0, 1.1] for maker in MAKERS}
    assert "1.00 × forward, within 1.15; not slower" in verdicts({("resnet50", 8): quick})


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    begin, end = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
    assert replaced(f"a\n{begin}\nold\n{end}\nb\n", "benchmark", "new") == f"a\n{begin}\nnew\n{end}\nb\n"
    for text in ("no markers", f"{begin}\n{end}\n{begin}\n{end}\n"):
        with pytest.raises(ValueError, match="once each"):
            replaced(text, "benchmark", "new")
    readme = README.read_text(encoding="utf-8")
    for name in ("benchmark", "picture"):
        assert replaced(readme, name, "new") != readme  # which needs both markers once
