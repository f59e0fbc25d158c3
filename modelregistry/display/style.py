"""How everything of ours looks in a page that is not ours: the colours and measures of a notebook's outputs."""

from __future__ import annotations

# In the colours of JupyterLab or VS Code where there are any; else in ours, by the scheme of the page that it stands
# in, which need not be that of the system. Where a page says its scheme in another way than CSS, we say it for it.
STYLE = " ".join(
    """
.modelregistry{
--mr-page:var(--jp-layout-color0,var(--vscode-editor-background,light-dark(#fff,#12161c)));
--mr-text:var(--jp-content-font-color0,var(--vscode-editor-foreground,light-dark(#1a1f27,#e6eaf0)));
--mr-line:var(--jp-border-color2,var(--vscode-widget-border,light-dark(#d9dde3,#333c48)));
--mr-quiet:light-dark(#566070,#a3aebd);--mr-raised:light-dark(#f4f5f7,#1f262f);
--mr-good:light-dark(#0d6b3c,#7fd6a4);--mr-good-page:light-dark(#dff3e7,#143524);
--mr-warn:light-dark(#7a4d00,#f0c274);--mr-warn-page:light-dark(#fdf0d5,#3a2c10);
--mr-bad:light-dark(#a02222,#ff9d9d);--mr-bad-page:light-dark(#fbe4e4,#431c1c);
box-sizing:border-box;width:fit-content;max-width:100%;margin:.25rem 0;padding:.7rem .9rem;
border:1px solid var(--mr-line);border-radius:8px;background:var(--mr-page);color:var(--mr-text);
font:14px/1.5 var(--jp-content-font-family,var(--vscode-font-family,system-ui,sans-serif));text-align:start;overflow-wrap:anywhere}
:is([data-jp-theme-light=true],[data-theme=light],.vscode-light) .modelregistry{color-scheme:light}
:is([data-jp-theme-light=false],[data-theme=dark],[theme=dark],.vscode-dark,.vscode-high-contrast) .modelregistry{color-scheme:dark}
[data-theme=auto] .modelregistry{color-scheme:light dark}
& :is(p,pre,table,details){margin:.5rem 0 0;padding:0;border:0;font-size:inherit;color:inherit;background:none}
& .mr-head{margin:0;font-size:1.1em}
& .mr-badge{display:inline-block;padding:0 .5em;border-radius:1em;font-size:.85em;line-height:1.5;font-weight:600;
color:var(--mr-quiet);background:var(--mr-raised);white-space:normal}
& .mr-good{color:var(--mr-good);background:var(--mr-good-page)}
& .mr-warn{color:var(--mr-warn);background:var(--mr-warn-page)}
& .mr-bad{color:var(--mr-bad);background:var(--mr-bad-page)}
& .mr-note{white-space:pre-line}
& p:is(.mr-good,.mr-warn,.mr-bad){padding:.35rem .6rem;border-radius:6px}
& .mr-quiet{color:var(--mr-quiet)}
& .mr-wide{overflow-x:auto;margin-top:.5rem}
& .mr-wide table{margin:0}
& .mr-wide svg{display:block}
& span.mr-wide{display:block}
& .mr-opening .mr-open,& .mr-opening[open]>summary>.mr-closed{display:none}
& .mr-opening[open]>summary>.mr-open{display:inline}
& table{width:auto;border-collapse:collapse;table-layout:auto;color:inherit}
& :is(thead,tbody) tr:nth-child(n){background:none;border:0}
& :is(th,td){padding:.25rem 1.1rem .25rem 0;border:0;text-align:start;vertical-align:top;
max-width:36rem;font-weight:400;white-space:normal;background:none;color:inherit}
& .mr-rows :is(th,td){border-bottom:1px solid var(--mr-line);overflow-wrap:break-word}
& .mr-rows tr:last-child td{border-bottom:0}
& thead th,& .mr-facts th{color:var(--mr-quiet);white-space:nowrap}
& thead th{font-size:.9em;font-weight:600}
& .mr-number{text-align:end;font-variant-numeric:tabular-nums}
& time{white-space:nowrap}
& :is(code,pre){font:.92em/1.5 var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace))}
& :is(td,p) code:nth-child(n){padding:0;background:none;color:inherit}
& pre{padding:.5rem .7rem;border-radius:6px;background:var(--mr-raised);white-space:pre-wrap}
& .mr-first{margin-top:0}
& summary{cursor:pointer;color:var(--mr-quiet)}
""".replace("& ", ".modelregistry.modelregistry ").split(
        "\n"
    )  # twice: the pages' own rules for tables are many
).strip()
