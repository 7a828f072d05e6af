// SPDX-License-Identifier: MIT
// A case in two parts and the talk button's key, for a printer of 150 x 130 mm or more. Millimetres; the origin is the board's
// upper left corner seen from above, y towards the lights, and `flip` turns that into OpenSCAD's y. What depends on the circuit
// board comes from the file that includes this one: made/<board>-case.scad. All parts print without support, the lid face down.
part = "all"; // base, lid, key; all: side by side, to look at
$fn = 32;

floor_ = 2.0;
plate = 2.0;        // the lid's; the letters are cut this deep into it:
letters = 0.6;
under = 5.0;        // from the floor to the board: solder joints
lip = [1.2, 2.0];   // thickness and depth of the rim under the lid
play = 0.25;        // between lip and wall
post = 6.8;         // a mounting hole's post
inside = under + board[2] + clear; // from the floor to the lid; `clear` stands above the board

left = -gap - bay;
right = board[0] + gap;
top = -gap;
bottom = board[1] + gap;

module flip() { mirror([0, 1, 0]) children(); } // y downwards as on the board
module rounded(grow, radius = 3) {
    translate([left - grow + radius, top - grow + radius])
        offset(radius) square([right - left + 2 * (grow - radius), bottom - top + 2 * (grow - radius)]);
}
module at_holes() { for (at = holes) translate(at) children(); }

// what must stay open, from the board's upper face upwards
module openings() {
    translate([0, 0, floor_ + under + board[2]]) {
        translate([right - 5, usb[1] - 6, usb_opening[0]]) cube([wall + 10, 12, usb_opening[1] - usb_opening[0]]);
        if (len(cable) > 0)
            translate([cable[0], bottom - 5, 0.5]) cube([cable[1] - cable[0], wall + 10, cable_height]);
    }
}

module base() {
    difference() {
        union() {
            linear_extrude(floor_) rounded(wall);
            linear_extrude(floor_ + inside) difference() { rounded(wall); rounded(0, 1); }
            linear_extrude(floor_ + under) at_holes() circle(d = post);
        }
        translate([0, 0, 0.8]) linear_extrude(floor_ + under) at_holes() circle(d = 2.6); // M3 cuts its own thread
        openings();
    }
}

module write(at, what, size, turned = false, align = "center") {
    translate(at) mirror([0, 1, 0]) rotate(turned ? 90 : 0)
        text(what, size = size, font = "Liberation Sans:style=Bold", halign = align, valign = "center", $fn = 8);
}

module holes_of_lid() {
    at_holes() circle(d = screw_hole);
    translate(switch) circle(d = switch_hole);
    for (light = lights) translate(light[0]) circle(d = light_hole);
    translate(button) circle(d = key_hole);
    translate(port) circle(d = 3);
    for (i = [-2 : 2]) translate([buzzer[0] + 2.4 * i, buzzer[1]]) square([1.2, 8], center = true);
}

module labels() {
    write([switch[0], switch[1] - 13], "ARM", 5);
    write([switch[0], switch[1] + 13], "MUTE", 5);
    for (light = lights) write([light[0][0], light[0][1] - 5], light[1], 3.6, turned = true, align = "left");
    write([button[0] - 7.5, button[1]], "TALK", 3.6, turned = true);
    write([port[0], port[1] - 8.5], "MIC 1", 3.6);
    write([board[0] / 2, 26], title, 5);
    write([board[0] / 2, 37], "red: muted, power cut", 4);
    write([board[0] / 2, 44], "amber: microphone live", 4);
}

module lid() { // its inner face at z = 0, the outer face up
    difference() {
        union() {
            linear_extrude(plate - letters) difference() { rounded(wall); holes_of_lid(); }
            translate([0, 0, plate - letters]) linear_extrude(letters) difference() { rounded(wall); holes_of_lid(); labels(); }
            translate([0, 0, -lip[1]]) linear_extrude(lip[1])
                difference() { rounded(-play, 1); rounded(-play - lip[0], 1); }
            translate([0, 0, -clear]) linear_extrude(clear) at_holes() difference() { circle(d = post); circle(d = screw_hole); }
            translate([0, 0, -2]) linear_extrude(2) translate(port) difference() { circle(d = module_ + 3); circle(d = module_); }
        }
        translate([0, 0, -floor_ - inside]) openings();
        translate([0, 0, -lip[1] - 0.01]) linear_extrude(lip[1] + 0.01) // the flanges of the lights
            for (light = lights) translate(light[0]) circle(d = light_hole + 1.3);
        translate([port[0], port[1], plate - 1.4]) cylinder(d1 = 3, d2 = 7, h = 1.41); // a funnel
    }
}

module key() { // stands on the button, comes 2 mm out of the lid
    cylinder(d = 12, h = key_height - 0.4);
    cylinder(d = key_hole - 0.8, h = key_height + plate + 2);
}

if (part == "base") flip() base();
if (part == "lid") flip() lid();
if (part == "key") key();
if (part == "all") {
    flip() base();
    translate([0, 0, floor_ + inside + 30]) flip() lid();
}
