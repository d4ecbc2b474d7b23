"""The style sheet of every page: light and dark, wide, narrow and on paper."""

from __future__ import annotations

from string import Template

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--paper:#fff;--band:#f4f6f8;--bad:#b3261e;
--onnx:#1a5fb4;--openvino:#a13b0a;--tflite:#1d6b35;--tensorrt:#7a2e8e}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a0a9b2;--line:#3b434b;--paper:#14181c;
--band:#1e242a;--bad:#ff9d94;--onnx:#83b8ff;--openvino:#ffb27d;--tflite:#7fd699;--tensorrt:#dfa2f2}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:84rem;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
h1{margin:0;font-size:1.7rem}h2{margin:2rem 0 .6rem;font-size:1.15rem}
.verdict{margin:.4rem 0 0;font-size:1.1rem;max-width:60rem}
.scroll{overflow-x:auto}table{width:100%;border-collapse:collapse;font-size:.87rem;overflow-wrap:normal}
th,td{padding:.4rem .45rem;text-align:left;vertical-align:top}
thead th{border-bottom:2px solid var(--ink);vertical-align:bottom}
tbody{border-bottom:1px solid var(--line);break-inside:avoid}
tbody th,.n,.lines,.status{white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums}thead .n{white-space:normal}
small{display:block;color:var(--soft);font-size:.92em}
.status{font-weight:600}.refused .status,.failed .status,.why{color:var(--bad)}
.more td{padding-top:0;color:var(--soft);overflow-wrap:anywhere}.more p{display:inline;margin:0 1rem 0 0}
.why{margin:0 0 .3rem;padding-left:1.1rem;font-weight:600}
pre{white-space:pre-wrap;margin:.3rem 0;padding:.5rem;background:var(--band)}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.3rem 1.2rem;margin:0;max-width:66rem}
dt{font-weight:600}dd{margin:0}
figure{margin:0}figcaption{font-size:.87rem;color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:0 1.5rem}
svg{width:100%;max-width:42rem;font:11px system-ui,sans-serif}
svg text{fill:var(--ink);stroke:var(--paper);stroke-width:3px;paint-order:stroke}
path,circle{fill:none;stroke:var(--ink)}.grid{stroke:var(--line)}.lead{stroke:var(--soft);stroke-width:.5}
.reference{stroke-dasharray:8 4}.line,.mark{stroke-width:1.4}svg .mark{fill:var(--paper)}
svg .onnx{stroke:var(--onnx)}svg .openvino{stroke:var(--openvino)}
svg .tflite{stroke:var(--tflite)}svg .tensorrt{stroke:var(--tensorrt)}
svg .filled.onnx{fill:var(--onnx)}svg .filled.openvino{fill:var(--openvino)}
svg .filled.other{fill:var(--ink)}svg .filled.tflite{fill:var(--tflite)}svg .filled.tensorrt{fill:var(--tensorrt)}
@media (max-width:36rem){body{padding:1rem}dl{display:block}dd{margin-bottom:.5rem}}
@media print{body{padding:0;max-width:none;font-size:11px}figure{break-inside:avoid}}
@page{size:A4 landscape;margin:12mm}
"""

CARDS = Template("""\
@media screen and (max-width:$width){table:not(.plain),table:not(.plain) :is(tbody,.more,.more td){display:block}
table:not(.plain) thead{display:none}table:not(.plain) tbody{padding:.6rem 0}
table:not(.plain) tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(11rem,45%),1fr))}
table:not(.plain) tbody th{font-size:1.1rem}table:not(.plain) .n{text-align:left}.lines{white-space:normal}
table:not(.plain) td::before{content:attr(data-label);display:block;color:var(--soft)}
table:not(.plain) .more td::before{content:none}table:not(.plain) .more td{padding-top:.4rem}}
""")
"""Below this width each row of a table is a card of its own, its cells with their titles; but for ``table.plain``."""
