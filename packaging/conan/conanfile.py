# SPDX-License-Identifier: MIT
"""Conan 2: conan create packaging/conan -o "sluice/*:redis=True" """

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load
from conan.tools.layout import basic_layout

# Option: (requirement, component's own requirement)
COMPONENTS = {
    "json": ("nlohmann_json/[>=3.10 <4]", "nlohmann_json::nlohmann_json"),
    "httplib": ("cpp-httplib/[>=0.10 <1]", "cpp-httplib::cpp-httplib"),
    "crow": ("crowcpp-crow/[>=1.2 <2]", "crowcpp-crow::crowcpp-crow"),
    "redis": ("hiredis/[>=1.0 <2]", "hiredis::hiredis"),
    "postgres": ("libpq/[>=14 <18]", "libpq::libpq"),
    "tls": ("openssl/[>=1.1 <4]", "openssl::openssl"),
    "asio": ("asio/[>=1.22 <2]", "asio::asio"),
}


class Sluice(ConanFile):
    name = "sluice"
    description = "Header-only C++20 rate limiting"
    license = "MIT"
    package_type = "header-library"
    no_copy_source = True
    settings = "os", "arch", "compiler", "build_type"
    options = {name: [True, False] for name in COMPONENTS}
    default_options = {name: False for name in COMPONENTS}

    @property
    def _sources(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        text = load(self, os.path.join(self._sources, "include", "sluice", "version.hpp"))
        self.version = ".".join(re.findall(r"#define SLUICE_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text))

    def export_sources(self):
        copy(self, "include/*", self._sources, self.export_sources_folder)
        copy(self, "LICENSE", self._sources, self.export_sources_folder)

    def layout(self):
        basic_layout(self)

    def requirements(self):
        for name, (requirement, _) in COMPONENTS.items():
            if self.options.get_safe(name):
                self.requires(requirement)

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.settings.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "sluice")
        core = self.cpp_info.components["sluice"]
        core.set_property("cmake_target_name", "sluice::sluice")
        core.bindirs = core.libdirs = []
        if self.settings.os in ("Linux", "FreeBSD"):
            core.system_libs = ["pthread"]
        for name, (_, requirement) in COMPONENTS.items():
            if not self.options.get_safe(name):
                continue
            component = self.cpp_info.components[name]
            component.set_property("cmake_target_name", f"sluice::{name}")
            component.bindirs = component.libdirs = []
            component.requires = ["sluice", requirement]
