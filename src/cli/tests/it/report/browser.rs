//! A real browser, without a window: what a page says of itself once it is open.

use crate::support::{Workspace, skipped};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The browser: what `BLEND_CHROMIUM` names, or one on the path. Where there is none the test has to return.
pub(crate) fn browser(test: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BLEND_CHROMIUM") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let found = ["chromium", "chromium-browser", "google-chrome", "chrome"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        skipped(test, "no chromium on the path; `apt-get install chromium` brings one, BLEND_CHROMIUM names another");
    }
    found
}

/// Gathers what goes wrong from the first line on.
const WATCH: &str = r#"<script>
var wrong = [];
window.addEventListener("error", function (event) { wrong.push("error: " + (event.message || event.target.outerHTML)); }, true);
window.addEventListener("unhandledrejection", function (event) { wrong.push("rejected: " + event.reason); });
document.addEventListener("securitypolicyviolation", function (event) { wrong.push("reached for: " + event.blockedURI); });
["error", "warn"].forEach(function (level) { console[level] = function () { wrong.push(level + ": " + Array.prototype.join.call(arguments, " ")); }; });
</script>"#;

/// Says to the page around it what `PROBE` returns, and what went wrong.
const TELL: &str = r#"<script>
window.addEventListener("load", function () {
  setTimeout(function () {
    var said;
    try { said = (function () { PROBE })(); } catch (error) { wrong.push("probe: " + error); }
    parent.postMessage(JSON.stringify({
      said: said, wrong: wrong, asked: performance.getEntriesByType("resource").map(function (it) { return it.name; }),
      width: document.documentElement.clientWidth, needs: document.documentElement.scrollWidth
    }), "*");
  }, 200);
});
</script>"#;

/// Pages side by side, and what they said.
const AROUND: &str = r#"<!doctype html><body><pre id="said"></pre>FRAMES<script>
var said = [], frames = document.querySelectorAll("iframe");
window.addEventListener("message", function (event) {
  Array.prototype.forEach.call(frames, function (frame, at) { if (frame.contentWindow === event.source) said[at] = JSON.parse(event.data); });
  if (said.filter(Boolean).length === frames.length) document.getElementById("said").textContent = JSON.stringify(said);
});
</script></body>"#;

/// Opens `page` at each of `widths` and runs `probe` (the body of a function) in it. `extra` are the browser's own
/// arguments.
#[track_caller]
pub(crate) fn open(browser: &Path, page: &str, widths: &[u32], probe: &str, extra: &[&str]) -> Vec<Value> {
    let folder = Workspace::new();
    let tell = TELL.replace("PROBE", probe);
    let page = page.replacen("</head>", &format!("{WATCH}</head>"), 1);
    let (head, tail) = page.rsplit_once("</body>").expect("a whole page");
    folder.write("page.html", format!("{head}{tell}</body>{tail}"));
    let frame =
        |width: &u32| format!("<iframe src=\"page.html\" style=\"border:0;width:{width}px;height:900px\"></iframe>");
    let frames: String = widths.iter().map(frame).collect();
    let around = folder.write("around.html", AROUND.replace("FRAMES", &frames));
    let profile = folder.path("profile");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--window-size=1600,1000", "--virtual-time-budget=20000", "--dump-dom"])
        .args(extra)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", around.display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout);
    let said = dom.split("<pre id=\"said\">").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap_or_default();
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str::<Vec<Value>>(&said)
        .unwrap_or_else(|error| panic!("{error}: the page said `{said}`\n{}", String::from_utf8_lossy(&output.stderr)))
}
