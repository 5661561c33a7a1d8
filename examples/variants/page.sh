# SPDX-License-Identifier: MIT
# Summary: the live page of the cpp-httplib server, used by a headless Chromium

source "$variants_dir/httplib.sh"

variant_needs() {
    server_needs
    need python3 have python3
    need chromium eval 'have chromium || have chromium-browser || have google-chrome'
    need chromium-driver have chromedriver
}

variant_demo() {
    say "Headless Chromium opens the page, sends bursts by mouse and keyboard, and looks at it in light and dark:"
    python3 "$source_dir/demo/check_page.py" "$bin/${variant_targets[0]}"
}
