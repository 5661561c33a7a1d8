#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Opens a demo server's page in headless Chromium and uses it: check_page.py SERVER... [--screenshots FOLDER]

SERVER is the program of an example server; needs chromium and chromedriver, nothing else. Exit status 0 only if all holds.
"""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--no-default-browser-check", "--hide-scrollbars", "--window-size=1160,900"]


def started(command, pattern):
    """Starts a program and waits for the line that tells where it listens."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        found = re.search(pattern, line)
        if found:
            return process, found.group(1)
    raise SystemExit(f"{command[0]} did not start")


def stopped(process):
    process.terminate()
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return "killed"


class Browser:
    """The W3C WebDriver protocol, as far as it is needed here."""

    def __init__(self, driver_url, profile):
        self.base = driver_url
        binary = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        options = {"args": FLAGS + [f"--user-data-dir={profile}"]}
        if binary:
            options["binary"] = binary
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base += "/session/" + session["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"chromedriver: {method} {path}: {error.read().decode()[:500]}")

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": "return " + script, "args": list(arguments)})

    def click(self, selector):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{next(iter(element.values()))}/click", {})

    def press(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, width, height, scheme):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def until(self, script, what, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise SystemExit(f"waited {seconds} s in vain: {what}")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))


def check(holds, what):
    if not holds:
        raise SystemExit("not so: " + what)
    print("  " + what)


SENT = "document.getElementById('summary').textContent.startsWith('{} to {}:')"
ROWS = "[...document.querySelectorAll('#answers tr')].map(row => [...row.cells].map(cell => cell.textContent))"
METER = "Number(document.querySelector('#route-{} [role=meter]').getAttribute('aria-valuenow'))"
# The least contrast between a text and what is behind it, over all visible texts.
CONTRAST = """(() => {
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (node) => { for (; node; node = node.parentElement) {
    const color = numbers(getComputedStyle(node).backgroundColor); if (color.length < 4 || color[3] > 0) return color; }
    return [255, 255, 255]; };
  let least = 21;
  for (const node of document.querySelectorAll('h1, h2, p, small, code, button, select, span, th, td')) {
    if (!node.textContent.trim() || !node.getClientRects().length || node.disabled) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
    least = Math.min(least, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return least;
})()"""


def allowed(browser):
    """How many requests of the last burst were allowed."""
    return int(re.search(r"(\d+) allowed", browser.run("document.getElementById('summary').textContent")).group(1))


def use_page(browser, url, screenshots):
    browser.look(1160, 900, "light")
    browser.open(url)
    browser.until("document.querySelectorAll('.route').length === 6", "the cards of six routes")

    start = time.monotonic()
    browser.click("#burst-data")
    browser.until(SENT.format(20, "/api/data"), "a burst of 20 to be answered")
    refilled = int(time.monotonic() - start)  # one a second, which a slow machine may see
    rows = browser.run(ROWS)[::-1]
    statuses = [row[2].split()[0] for row in rows]
    passed = statuses.count("200")
    check(statuses[:10] == ["200"] * 10 and 10 <= passed <= 10 + refilled and statuses.count("429") == 20 - passed,
          f"the burst of 20 got {passed} 200 (ten at once), then {20 - passed} 429")
    check(all(row[6].isdigit() and int(row[6]) >= 1 for row in rows if row[2].startswith("429")),
          "each 429 shows its Retry-After")
    check(all(row[3].startswith('"data";r=') for row in rows), "each answer shows its RateLimit field")
    low = browser.run(METER.format("data"))
    check(low <= 5, f"the bar went down to {low}")
    check(browser.until(METER.format("data") + f" >= {low + 2}", "the bar to fill again"), "the bar fills again")

    browser.run("document.querySelector('#burst-strict').previousElementSibling, document.body.focus()")
    for _ in range(40):
        if browser.run("document.activeElement.id === 'burst-strict'"):
            break
        browser.press("\ue004")
    start = time.monotonic()
    browser.press("\ue007")
    browser.until(SENT.format(20, "/api/strict"), "a burst by the keyboard to be answered")
    passed = allowed(browser)
    check(3 <= passed <= 3 + (time.monotonic() - start) / 5,
          f"a burst by Tab and Enter got {passed} of 20 on the strict route (three at once)")
    check(browser.run("document.activeElement.id === 'burst-strict'"), "the focus stays on the button")
    check(len(browser.run(ROWS)) == 40, "40 answers are listed")

    browser.run("(document.getElementById('tier').value = 'demo-silver')")
    start = time.monotonic()
    browser.click("#burst-tiers")
    browser.until(SENT.format(20, "/api/tiers"), "a burst with an API key to be answered")
    passed = allowed(browser)
    check(15 <= passed <= 15 + (time.monotonic() - start) / 2, f"the API key's tier got {passed} of 20 (15 at once)")
    check(len(browser.run(ROWS)) == 50, "the list keeps the last 50 answers")
    for route in ("login", "expensive", "free"):
        browser.click(f"#burst-{route}")
        browser.until(SENT.format(20, {"login": "/login", "free": "/free"}.get(route, "/api/" + route)), route)
    counted = browser.run("document.querySelectorAll('#plot rect').length")
    check(counted >= 2, "the plot shows what was allowed and denied")

    if screenshots:
        for _ in range(14):
            time.sleep(1.3)
            browser.click("#burst-data")
            browser.click("#burst-tiers")
            browser.until("![...document.querySelectorAll('button')].some(b => b.disabled)", "bursts")
        browser.click("#burst-expensive")
        time.sleep(1.5)
    for scheme in ("light", "dark"):
        for width, height in ((1160, 1040), (360, 780)):
            browser.look(width, height, scheme)
            browser.run("window.scrollTo(0, 0)")
            wide = browser.run("document.documentElement.scrollWidth")
            check(wide <= width, f"{scheme}, {width} px: nothing is wider than the window")
            contrast = browser.run(CONTRAST)
            check(contrast >= 4.5, f"{scheme}, {width} px: contrast of texts at least {contrast:.1f}")
            if screenshots:
                browser.run("document.activeElement.blur()")
                browser.screenshot(os.path.join(screenshots, f"page-{scheme}-{width}.png"))

    resources = browser.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    check(all(name.startswith(url) for name in resources), "nothing was loaded from elsewhere")
    log = browser.call("POST", "/se/log", {"type": "browser"})
    errors = [entry["message"] for entry in log if entry["level"] == "SEVERE"
              and not (entry["source"] == "network" and re.search(r"status of (429|401) ", entry["message"]))]
    check(not errors, f"no errors in the console{': ' if errors else ''}{errors or ''}")


def main():
    arguments = sys.argv[1:]
    screenshots = None
    if "--screenshots" in arguments:
        at = arguments.index("--screenshots")
        screenshots = arguments[at + 1]
        del arguments[at:at + 2]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver, port = started(["chromedriver", "--port=0"], r"started successfully on port (\d+)")
        try:
            for program in arguments:
                print(os.path.basename(program))
                server, url = started([program, "--port", "0", "--metrics-port", "0"], r"^Listening on (\S+)")
                browser = None
                try:
                    browser = Browser(f"http://127.0.0.1:{port}", os.path.join(profile, os.path.basename(program)))
                    use_page(browser, url, screenshots)
                finally:
                    if browser:
                        browser.call("DELETE", "")
                    status = stopped(server)
                check(status == 0, "the server stopped at SIGTERM")
        finally:
            stopped(driver)
    print("The page works.")


main()
