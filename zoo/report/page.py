"""Page: the frame of every report, which may run and load nothing; light, dark, or for paper."""

from __future__ import annotations

from string import Template

from zoo.report.markup import safe

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #57606a; --rule: #d8dee4; --ground: #ffffff;
  --panel: #f6f8fa; --one: #0a5cc7; --two: #b35200; --three: #177a37; --four: #8a3ffc; --five: #b3256b;
  --six: #0b7285; --seven: #6e5600; --eight: #57606a; --cell: 10, 92, 199; --wrong: 190, 60, 10; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9aa7b4; --rule: #30363d; --ground: #0d1117;
  --panel: #161b22; --one: #6cb0ff; --two: #ffa657; --three: #56d364; --four: #c8a6ff; --five: #ff8fbf;
  --six: #56d4dd; --seven: #e3c04f; --eight: #9aa7b4; --cell: 88, 156, 255; --wrong: 255, 140, 90; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; max-width: 62rem;
  margin: 0 auto; padding: 2rem 1.25rem 4rem; color: var(--ink); background: var(--ground); }
h1 { margin: 0; font-size: 1.8rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; border-bottom: 1px solid var(--rule); padding-bottom: .25rem; }
p { margin: .5rem 0; max-width: 44rem; overflow-wrap: anywhere; }
.lead, .faint, caption { color: var(--faint); }
.warning { border-left: 4px solid var(--two); background: var(--panel); padding: .5rem .9rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border: 1px solid var(--rule); border-radius: 6px; padding: .5rem .9rem; }
.tiles b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--faint); font-size: .85rem; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding-bottom: .25rem; }
td, th { padding: .22rem .9rem .22rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule);
  font-weight: 400; }
thead th { color: var(--faint); font-size: .85rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.matrix { border-collapse: separate; border-spacing: 2px; }
.matrix td, .matrix thead th { border: 0; text-align: center; padding: .2rem .35rem; min-width: 2.3rem;
  font-variant-numeric: tabular-nums; }
.matrix thead th { max-width: 6rem; overflow-wrap: anywhere; vertical-align: bottom; }
.matrix tbody th { border: 0; text-align: right; padding-right: .5rem; max-width: 12rem; overflow-wrap: anywhere; }
.matrix td { border-radius: 3px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.matrix .none { color: var(--faint); opacity: .6; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); gap: 1.25rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { display: flex; flex-wrap: wrap; gap: .1rem 1rem; align-items: baseline; font-size: .9rem; }
.key { white-space: nowrap; color: var(--faint); }
.swatch { width: 26px; height: 8px; margin-right: .35rem; }
.kept-key { display: inline-block; height: .9em; border-left: 2px dashed var(--faint); margin-right: .4rem; }
.chart { width: 100%; height: auto; display: block; }
.square { max-width: 27rem; }
.chart text { font-size: 11px; fill: var(--faint); }
.grid, .axis, .kept { fill: none; stroke: var(--rule); }
.axis { stroke: var(--faint); }
.kept { stroke: var(--faint); stroke-dasharray: 5 4; }
.dot { fill: var(--one); fill-opacity: .55; }
path.train, path.validation, path.test, path.other, path[class^="run"] { fill: none; stroke-width: 2;
  stroke-linejoin: round; }
.train { stroke: var(--one); } .validation { stroke: var(--two); } path.validation { stroke-dasharray: 7 3; }
.test, .other { stroke: var(--three); } .other { stroke: var(--four); }
.run0 { stroke: var(--one); } .run1 { stroke: var(--two); } .run2 { stroke: var(--three); }
.run3 { stroke: var(--four); } .run4 { stroke: var(--five); } .run5 { stroke: var(--six); }
.run6 { stroke: var(--seven); } .run7 { stroke: var(--eight); }
path.run1, path.run5 { stroke-dasharray: 7 3; } path.run2, path.run6 { stroke-dasharray: 2 3; }
path.run3, path.run7 { stroke-dasharray: 9 3 2 3; }
circle { fill: var(--ground); stroke-width: 1.5; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none; }
.mistakes li { font-size: .85rem; line-height: 1.35; break-inside: avoid; overflow-wrap: anywhere; }
.mistakes img { display: block; width: 96px; height: 96px; object-fit: contain; background: var(--panel);
  margin-bottom: .3rem; border-radius: 4px; }
details { margin: .75rem 0; }
summary { cursor: pointer; }
pre { background: var(--panel); border: 1px solid var(--rule); border-radius: 6px; padding: .9rem 1rem;
  overflow-x: auto; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
footer { margin-top: 3rem; color: var(--faint); font-size: .85rem; }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 11pt; }
  details::details-content { display: block; content-visibility: visible; } pre { white-space: pre-wrap; }
  h2 { break-after: avoid; } .wide { overflow: visible; } }
"""
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
$lead
</header>
<main>
$body
</main>
<footer>Written by zoo $version.</footer>
</body>
</html>
""")


def page(title: str, lead: str, body: str, version: str) -> str:
    """Return the whole file.

    Args:
        title: a text.
        lead: markup that stands below it.
        body: the sections, as markup.
        version: of zoo.
    """
    return _PAGE.substitute(title=safe(title), style=_STYLE, lead=lead, body=body, version=safe(version))
