# SPDX-License-Identifier: MIT
"""Earlid's circuit as code: one netlist, from which every drawing, list, simulation and constant is made."""
