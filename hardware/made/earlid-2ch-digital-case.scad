// SPDX-License-Identifier: MIT
// earlid-2ch-digital: written by python -m hardware drawn, to lie in hardware/made
title = "EARLID 2CH DIGITAL";
board = [100, 100, 1.6];
clear = 16.5;
holes = [[3.8, 3.8], [96.2, 33.655], [3.8, 96.2], [96.2, 96.2]];
usb = [100, 15.24];
cable = [9.7, 20.7];
lights = [[[48.895, 96.52], "MUTED"], [[55.88, 96.52], "STATUS"], [[62.865, 96.52], "MIC 1 LIVE"], [[69.85, 96.52], "MIC 2 LIVE"]];
button = [83.72, 93.305];
key_height = 4.5;
buzzer = [85.08, 80.645];
port = [35.56, 84.45];
switch = [-13, 30];
wall = 2.4;
gap = 0.5;
bay = 26;
key_hole = 8.8;
light_hole = 5.3;
screw_hole = 3.4;
switch_hole = 6.5;
module_ = 14.5;
usb_opening = [9.5, 17.9];
cable_height = 8;
include <../enclosure/case.scad>
