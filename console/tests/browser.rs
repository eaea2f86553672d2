//! The page in headless Chromium, which is skipped with a line where there is none.
//!
//! A browser that ends or does not answer is reported and skips the rest, too: only a page that is
//! wrong fails the test.

mod support;

use std::future::pending;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use runtime::{Runtime, task, time};
use runtime_console::{Builder, StallLog};
use serde_json::json;
use support::browser::{Browser, Result};
use support::{Program, spawn};

const NAME: &str = "<i>browser</i> & \"test\"";
const SLOW: &str = "slow <b>task</b>";
const POLL: Duration = Duration::from_millis(50);

#[test]
fn the_page_shows_the_slow_task_by_name_and_marks_it() {
    if let Err(e) = look_at_page() {
        // Unlike `println!`, this is shown by a test that passes.
        let line = format!("\n!!!!!!!!!!  SKIPPED: the page was not looked at: {e:?}\n\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

/// Starts a program with a slow task.
fn program() -> Program {
    let (stalls, was_seen) = (StallLog::new(), Arc::new(AtomicBool::new(false)));
    let (log, seen) = (stalls.clone(), was_seen.clone());
    let runtime =
        Runtime::builder()
            .name(NAME)
            .track_tasks(true)
            .on_stall(POLL / 4, move |stall| {
                // On a busy machine other polls would displace it.
                if stall.name.as_deref() == Some(SLOW) {
                    log.record(stall);
                    seen.store(true, Ordering::Relaxed);
                }
            });
    let console = Builder::new()
        .period(Duration::from_millis(100))
        .slow_poll(POLL)
        .stalls(stalls);
    Program::start(runtime, console, move || {
        spawn(SLOW, async move {
            let begin = Instant::now();
            while begin.elapsed() < POLL || !was_seen.load(Ordering::Relaxed) {}
            pending::<()>().await;
        });
        spawn("timer", time::sleep(Duration::from_secs(3600)));
        spawn("busy", async {
            loop {
                time::sleep(Duration::from_millis(5)).await;
                task::yield_now().await;
            }
        });
    })
}

fn look_at_page() -> Result<()> {
    let mut browser = Browser::start()?;
    let program = program();
    browser.open(&format!("http://{}/", program.address))?;

    // The row of the slow task, with its mark.
    let find = "const row = [...document.querySelectorAll('#tasks tbody tr')]
        .find(row => row.querySelector('.task').textContent === NAME);"
        .replace("NAME", &json!(SLOW).to_string());
    let is_marked = "row !== undefined && row.querySelector('.badge').textContent === 'slow'";
    browser.wait_for(&format!("(() => {{ {find} return {is_marked}; }})()"))?;
    let text = browser.evaluate(&format!("(() => {{ {find} return row.innerText; }})()"))?;
    assert!(
        text.as_str().unwrap().contains("channel or other waker"),
        "{text}"
    );
    assert!(text.as_str().unwrap().contains("support/mod.rs:"), "{text}");

    let title = browser.evaluate("document.title")?;
    assert_eq!(title, format!("{NAME} - runtime console"));
    let heading = browser.evaluate("document.querySelector('h1').textContent")?;
    assert_eq!(heading, NAME, "names are text");
    let names = browser.evaluate("document.querySelectorAll('h1 i, .task b').length")?;
    assert_eq!(names, 0);

    // Everything is drawn, and described for those that do not see it.
    for part in [
        "document.querySelectorAll('#polls rect').length > 0",
        "document.querySelectorAll('#lateness rect').length > 0",
        "document.querySelectorAll('#utilization path').length > 1",
        "document.getElementById('polls-text').textContent.includes('half below')",
        "document.getElementById('utilization-text').textContent.includes('processor time')",
        "document.querySelectorAll('#counters tbody tr').length > 20",
        "document.getElementById('status').textContent === 'Live'",
        "[...document.querySelectorAll('#stalls .task')].some(task => task.textContent === SLOW)",
    ] {
        browser.wait_for(&part.replace("SLOW", &json!(SLOW).to_string()))?;
    }
    let undescribed = "[...document.querySelectorAll('svg')].filter(chart =>
        chart.getAttribute('role') !== 'img'
        || !document.getElementById(chart.getAttribute('aria-describedby')).textContent).length";
    assert_eq!(browser.evaluate(undescribed)?, 0);
    let untitled = "[...document.querySelectorAll('thead th')].filter(th => !th.scope).length";
    assert_eq!(browser.evaluate(untitled)?, 0);

    for scheme in ["light", "dark"] {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.call("Emulation.setEmulatedMedia", json!({"features": feature}))?;
        let applied = format!("matchMedia('(prefers-color-scheme: {scheme})').matches");
        browser.wait_for(&applied)?;
        let low = browser.evaluate(LOW_CONTRAST)?;
        assert_eq!(low, json!([]), "texts that are hard to read in {scheme}");
    }
    let phone = json!({"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", phone)?;
    browser.wait_for("document.documentElement.scrollWidth <= 360")?;

    // The end of the program is noticed by the page.
    assert_eq!(browser.complaints, [""; 0]);
    drop(program);
    browser.wait_for("document.getElementById('status').textContent.startsWith('Disconnected')")?;
    browser.wait_for("document.getElementById('age').textContent.includes('last event')")?;
    Ok(())
}

/// Lists the texts whose contrast with their background is below 4.5, as WCAG 2 computes it.
const LOW_CONTRAST: &str = "(() => {
    const channels = color => (color.match(/[\\d.]+/g) || []).map(Number);
    const luminance = color => {
        const [r, g, b] = color.map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = element => {
        for (let at = element; at; at = at.parentElement) {
            const color = channels(getComputedStyle(at).backgroundColor);
            if (color.length === 3) return color;
        }
        return [255, 255, 255];
    };
    const found = new Set();
    for (const element of document.querySelectorAll('body *')) {
        const hasText = [...element.childNodes].some(node => node.nodeType === 3
            && node.textContent.trim());
        if (!hasText || !element.getClientRects().length || element.tagName === 'SCRIPT') continue;
        const style = getComputedStyle(element);
        const isDrawn = element.namespaceURI.endsWith('svg');
        const color = channels(isDrawn ? style.fill : style.color).slice(0, 3);
        const [a, b] = [luminance(color), luminance(background(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) found.add(element.tagName + ' ' + element.textContent);
    }
    return [...found];
})()";
