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
# The cells of each row as often as the row says that the answer came.
ROWS = ("[...document.querySelectorAll('#answers tr')].flatMap(row => "
        "Array(Number(row.dataset.times)).fill([...row.cells].map(cell => cell.firstChild?.textContent || '')))")
METER = "Number(document.querySelector('#route-{} [role=meter]').getAttribute('aria-valuenow'))"
METERS = ("[...document.querySelectorAll('#route-{} [role=meter]')].map(meter => [...['min', 'now', 'max', 'text'].map("
          "name => meter.getAttribute('aria-value' + name)), meter.getAttribute('aria-label')])")
AGAIN = "document.querySelector('#route-{} .again').textContent"
FOCUS = "document.activeElement.id"
IDLE = "![...document.querySelectorAll('button')].some(button => button.getAttribute('aria-disabled') === 'true')"
# The least contrast between a text and what is behind it, over all visible texts.
CONTRAST = """(() => {
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (node) => { for (; node; node = node.parentElement) {
    const color = numbers(getComputedStyle(node).backgroundColor); if (color.length < 4 || color[3] > 0) return color; }
    return [255, 255, 255]; };
  let least = 21;
  for (const node of document.querySelectorAll('h1, h2, p, a, b, small, code, button, select, span, th, td, .again, text')) {
    if (!node.textContent.trim() || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(numbers(node.matches('text') ? style.fill : style.color)), light(behind(node))];
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

    meters = {name: browser.run(METERS.format(name)) for name in ("data", "strict", "expensive", "tiers", "login", "free")}
    check([meter[:4] for meter in meters["data"]] == [["0", "10", "10", "10 of 10 left"]] and
          [meter[1] for meter in meters["expensive"] + meters["tiers"] + meters["login"]] == ["20", "5", "5"],
          "before the first request each meter shows its limit in full")
    check([meter[4] for meter in meters["strict"]] == ['Left of "burst" on /api/strict', 'Left of "minute" on /api/strict'] and
          [meter[1:3] for meter in meters["strict"]] == [["3", "3"], ["6", "6"]], "two limits have a meter each")
    check(meters["free"] == [] and "no limit" in browser.run("document.getElementById('route-free').textContent"),
          "the route without a limit has no meter")

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
    browser.until(AGAIN.format("data") + " === '' && " + METER.format("data") + " >= 1", "the wait to be over")
    again = ""
    while not again:  # a slow machine may look only when the second is over
        browser.click("#one-data")
        browser.until(IDLE, "one answer")
        again = browser.run(AGAIN.format("data"))
    check(again == "again in 1 s", "after a denial the card says when to come again")
    browser.until(AGAIN.format("data") + " === ''", "the countdown to end")
    low = browser.run(METER.format("data"))
    check(browser.until(METER.format("data") + f" >= {low + 2}", "the bar to fill again"), "the bar fills again")

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
    check(browser.run(FOCUS) == "burst-strict", "the focus stays on the button")
    again = browser.run(AGAIN.format("strict"))
    check(re.fullmatch(r"again in [1-5] s", again), f"the strict route counts down: {again}")
    browser.until(AGAIN.format("strict") + f" !== '{again}'", "the countdown to go on")
    check(browser.run(METERS.format("strict"))[1][1] != "6", "the second limit's meter went down, too")

    browser.run("(document.getElementById('tier').value = 'demo-silver', "
                "document.getElementById('tier').dispatchEvent(new Event('change')))")
    check(browser.run(METERS.format("tiers"))[0][1:3] == ["15", "15"], "another API key shows another limit")
    start = time.monotonic()
    browser.click("#burst-tiers")
    browser.until(SENT.format(20, "/api/tiers"), "a burst with an API key to be answered")
    passed = allowed(browser)
    check(15 <= passed <= 15 + (time.monotonic() - start) / 2, f"the API key's tier got {passed} of 20 (15 at once)")
    for route in ("login", "expensive"):
        browser.click(f"#burst-{route}")
        browser.until(SENT.format(20, {"login": "/login"}.get(route, "/api/" + route)), route)
    browser.run("document.getElementById('burst-free').click()")
    browser.run("document.getElementById('tier').focus()")
    browser.until(SENT.format(20, "/free"), "a burst without a limit")
    check(browser.run(FOCUS) == "tier", "a burst that ends leaves the focus where it is")
    latest = browser.run("document.querySelector('#answers tr').textContent")
    check(latest.endswith("×20") and latest.count("GET /free") == 1, "20 equal answers are one row")
    for _ in range(60):
        if browser.run("document.querySelectorAll('#answers tr').length") >= 50:
            break
        for name in ("data", "free"):
            browser.run(f"document.getElementById('one-{name}').click()")
            browser.until(IDLE, name)
    browser.click("#one-expensive")
    browser.until(IDLE, "one more")
    check(browser.run("document.querySelectorAll('#answers tr').length") == 50, "the list keeps the last 50 rows")
    link = browser.run("document.querySelector('a').href")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(link) as answer:
        check(answer.read().startswith(b"# sluice"), "the link leads to the README")
    denied = browser.run("[...document.querySelectorAll('#denied li')].map(one => one.textContent)")
    check(len(denied) >= 3 and any(re.fullmatch(r"user:sam silver\d+", one) for one in denied) and
          any(re.fullmatch(r"ip:127\.0\.0\.1 (burst|minute)\d+", one) for one in denied),
          f"the keys that were denied most are told: {denied[0]}")
    check(browser.run("document.getElementById('curl').textContent") == f"curl -i {url}/api/data", "there is a command to copy")
    counted = browser.run("document.querySelectorAll('#plot rect').length")
    check(counted >= 2, "the plot shows what was allowed and denied")

    if screenshots:
        time.sleep(61)  # until the windows are empty again and the plot is, too
        browser.open(url)
        for round in range(12):
            browser.run(f"(document.getElementById('tier').value = '{['', 'demo-silver', 'demo-gold'][round % 3]}')")
            for name in ("tiers", "data") + (("expensive",) if round % 4 == 0 else ()):
                browser.run(f"document.getElementById('burst-{name}').click()")
                browser.until(IDLE, name)
            time.sleep(3)
        browser.run("(document.getElementById('tier').value = 'demo-silver')")
        for button in ("burst-login", "burst-data", "burst-strict", "burst-tiers", "one-expensive", "burst-free"):
            browser.run(f"document.getElementById('{button}').click()")
            browser.until(IDLE, button)
        browser.run("(document.getElementById('curl').textContent = 'curl -i http://127.0.0.1:8080/api/data')")
    for scheme in ("light", "dark"):
        for width, height in ((1160, 1080), (360, 780)):
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


if __name__ == "__main__":
    main()
