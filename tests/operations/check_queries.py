#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the dashboard's and the alerts' queries in a real Prometheus: check_queries.py SOURCE-DIR SERVER

SERVER is the program of an example server, whose metrics a private Prometheus reads while requests are sent. Exit status 0
only if each query can be run, has an answer where this server has the numbers, and promtool accepts the alerts.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# What a server with rules in memory does not write.
NOT_HERE = ("round_trips", "sluice_store_failures", "last_reload", "breaker_open", "sluice_errors_total", "overflowed")


def get(url):
    try:
        with OPENER.open(url, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


def wait_for(what, attempt, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = attempt()
            if value:
                return value
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"waited {seconds} s in vain: {what}")


def queries_of(source):
    dashboard = json.loads((source / "docs/operations/grafana-dashboard.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]), "two panels have one id"
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$limiter", ".*").replace("$__rate_interval", "10s")
    alerts = (source / "docs/operations/alerts.yml").read_text()
    for name, rest in re.findall(r"- alert: (\w+)\n(.*?)(?=\n +(?:for|labels):)", alerts, re.DOTALL):
        yield name, re.sub(r"^ *expr:\s*(?:>-)?", "", rest, count=1).replace("\n", " ")


def main():
    source, server_program = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    subprocess.run(["promtool", "check", "rules", str(source / "docs/operations/alerts.yml")], check=True)
    prometheus_program = shutil.which("prometheus")
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([server_program, "--port", "0", "--metrics-port", "0"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        prometheus = None
        try:
            lines = [server.stdout.readline() for _ in range(2)]
            metrics = re.search(r"http://(\S+)/metrics", "".join(lines)).group(1)
            main_url = re.search(r"Listening on (\S+)", "".join(lines)).group(1)
            config = pathlib.Path(folder, "prometheus.yml")
            config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n"
                              f"  - job_name: sluice\n    static_configs: [{{targets: ['{metrics}']}}]\n"
                              f"rule_files: ['{source}/docs/operations/alerts.yml']\n")
            port = 20000 + os.getpid() % 20000
            prometheus = subprocess.Popen(
                [prometheus_program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"])
            api = f"http://127.0.0.1:{port}/api/v1/"

            def query(text):
                answer = json.loads(get(api + "query?" + urllib.parse.urlencode({"query": text})))
                if answer["status"] != "success":
                    raise SystemExit(f"{text}: {answer['error']}")
                return answer["data"]["result"]

            def has_rates():
                for _ in range(3):
                    get(main_url + "/api/data")
                return query('rate(sluice_decisions_total{limiter="data",outcome="denied"}[10s]) > 0')

            wait_for("Prometheus to have read some numbers", has_rates)
            count = 0
            for title, text in queries_of(source):
                found = query(text)
                if not found and title[0].isupper() and " " in title and not any(name in text for name in NOT_HERE):
                    raise SystemExit(f"'{title}' has no answer: {text}")
                print(f"  {title}: {len(found)} series")
                count += 1
            assert count >= 20, count
            rules = json.loads(get(api + "rules"))["data"]["groups"]
            assert sum(len(group["rules"]) for group in rules) == 8, rules
        finally:
            for process in (server, prometheus):
                if process:
                    process.terminate()
                    process.wait(20)
    print("All queries run.")


if __name__ == "__main__":
    main()
