"""The explorer's texts as HTML: the picture, its words, the code, and what is said meanwhile."""

import base64
from html import escape
from io import BytesIO

from lessons_lib.show import Figure
from lessons_lib.teach.explorer import uploads

STAYS = "The picture from before stays."
STYLE = """<style>
.ll-explorer { max-width: 100%; overflow: visible; }
.ll-explorer .widget-html-content, .ll-explorer .jupyter-widgets { line-height: 1.45; }
.ll-explorer :is(button, select, input, pre, .widget-upload):focus-visible {
  outline: 3px solid #0b57d0 !important; outline-offset: 2px; }
.ll-explorer img.ll-figure { max-width: 100%; height: auto; display: block; }
.ll-explorer .ll-wait { border: 1px dashed; min-height: 12em; padding: 1em; }
.ll-explorer .ll-words { white-space: pre-line; max-width: 60em; font-size: 1.1em; }
.ll-explorer .ll-code pre { overflow: auto; max-width: 100%; padding: .6em; border: 1px solid; font-size: 1em; }
.ll-explorer .ll-code button { font: inherit; padding: .3em .8em; }
.ll-explorer progress { width: 20em; max-width: 100%; }
.ll-explorer .ll-before { display: inline-block; width: 6em; text-align: right; padding-right: 8px; }
.ll-explorer .widget-checkbox { margin: 4px 12px; align-self: center; }
.ll-explorer input[type=checkbox] { width: 1.1em; height: 1.1em; vertical-align: middle; }
</style>"""


def _script(source: str) -> str:
    """Return JavaScript as HTML: a page that is filled by `innerHTML` runs no script, but says when an image came."""
    dot = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    return f'<img alt="" hidden src="data:image/gif;base64,{dot}" onload="{escape(source)}">'


# A live region must stay while what it says changes, so the widget's own element is made one when it is first shown.
_LIVE = _script("this.parentNode.setAttribute('role', 'status')")
# JupyterLab takes arrow keys and letters for its own commands, x for cutting the cell, unless an element forbids it.
# A file over the limit would never arrive: the server hangs up on it. So the page looks at its size before it is sent.
_GUARD = f"""
if (!window.llGuarded) {{
  window.llGuarded = true;
  document.addEventListener('focusin', event => {{
    const at = event.target;
    if (at.closest('.ll-explorer')) at.setAttribute('data-lm-suppress-shortcuts', 'true');
  }}, true);
  document.addEventListener('click', click => {{
    const button = click.target.closest('.ll-explorer .widget-upload'), inputs = HTMLInputElement.prototype;
    if (!button) return;
    const own = inputs.click;
    inputs.click = function () {{
      inputs.click = own;
      this.addEventListener('change', change => {{
        const file = this.files[0];
        if (!file || file.size <= {uploads.MEGABYTES} * 1e6) return;
        change.stopImmediatePropagation();
        this.value = '';
        button.closest('.ll-explorer').querySelector('.ll-status').textContent =
          `{uploads.heavy("${file.name}", "${Math.round(file.size / 1e6)}")} {STAYS}`;
      }}, {{capture: true, once: true}});
      own.call(this);
    }};
  }}, true);
}}"""
OPENING = STYLE + _script(_GUARD)
_COPY = (
    "const code = this.parentNode.querySelector('code'), range = document.createRange();"
    "range.selectNodeContents(code); const taken = getSelection(); taken.removeAllRanges(); taken.addRange(range);"
    "const done = () => { this.textContent = 'Copied'; };"
    "if (navigator.clipboard) { navigator.clipboard.writeText(code.textContent).then(done); }"
    "else if (document.execCommand('copy')) { done(); }"
)


def live(text: str, name: str) -> str:
    """Return text that is read out when it changes."""
    return f'{_LIVE}<div class="{name}">{escape(text)}</div>'


def picture(figure: Figure, panes: int) -> str:
    """Return the figure as an image, twice as fine as it is shown, with its words for who does not see it."""
    file = BytesIO()
    drawn = figure.picture(dpi=200 if panes == 1 else 160)
    drawn.save(file, "JPEG", quality=90)
    content = base64.b64encode(file.getvalue()).decode()
    return (
        f'<img class="ll-figure" width="{drawn.width * (3 if panes == 1 else 4) // 4}" alt="{escape(figure.words)}" '
        f'src="data:image/jpeg;base64,{content}">'
    )


def waiting(text: str) -> str:
    """Return what stands in the place of the picture while there is none."""
    return f'<div class="ll-wait">{escape(text)}</div>'


def progress(done: int, of: int, seconds: float) -> str:
    """Return a bar with the time that is left."""
    return (
        f'<progress aria-label="how much is computed" value="{done}" max="{of}"></progress> '
        f"<span>{done} of {of} · about {seconds:.0f} s left</span>"
    )


def code(source: str) -> str:
    """Return the code with a button that copies it."""
    return (
        f'<div class="ll-code"><div>The code that makes this very picture:</div>'
        f'<pre tabindex="0" role="region" aria-label="code"><code>{escape(source)}</code></pre>'
        f'<button type="button" onclick="{escape(_COPY)}">Copy the code</button></div>'
    )
