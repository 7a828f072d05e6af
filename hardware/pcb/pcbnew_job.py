# SPDX-License-Identifier: MIT
"""What only KiCad can do, run by the Python that has Debian's `pcbnew`: fill pours, check rules, plot.

/usr/bin/python3 pcbnew_job.py fill BOARD.kicad_pcb
/usr/bin/python3 pcbnew_job.py check BOARD.kicad_pcb REPORT
/usr/bin/python3 pcbnew_job.py plot BOARD.kicad_pcb FOLDER
"""

import sys
from collections.abc import Callable

import pcbnew  # type: ignore[import-not-found]


def fill(path: str) -> None:
    board = pcbnew.LoadBoard(path)
    pcbnew.ZONE_FILLER(board).Fill(board.Zones())
    pcbnew.SaveBoard(path, board)


def check(path: str, report: str) -> None:
    board = pcbnew.LoadBoard(path)
    if not pcbnew.WriteDRCReport(board, report, pcbnew.EDA_UNITS_MILLIMETRES, True):
        raise SystemExit("KiCad could not check the board")


GERBERS = (
    ("F_Cu", "F.Cu"), ("B_Cu", "B.Cu"), ("F_Mask", "F.Mask"), ("B_Mask", "B.Mask"), ("F_Silkscreen", "F.SilkS"),
    ("B_Silkscreen", "B.SilkS"), ("Edge_Cuts", "Edge.Cuts"),
)  # fmt: skip


def plot(path: str, folder: str) -> None:
    board = pcbnew.LoadBoard(path)
    control = pcbnew.PLOT_CONTROLLER(board)
    options = control.GetPlotOptions()
    options.SetOutputDirectory(folder)
    options.SetPlotFrameRef(False)
    options.SetUseGerberProtelExtensions(False)
    options.SetUseGerberX2format(True)
    options.SetIncludeGerberNetlistInfo(True)
    options.SetCreateGerberJobFile(False)
    options.SetSubtractMaskFromSilk(True)
    options.SetUseAuxOrigin(True)
    options.SetDrillMarksType(pcbnew.PCB_PLOT_PARAMS.NO_DRILL_SHAPE)
    for name, layer in GERBERS:
        control.SetLayer(board.GetLayerID(layer))
        control.OpenPlotfile(name, pcbnew.PLOT_FORMAT_GERBER, name)
        control.PlotLayer()
    control.ClosePlot()
    drill = pcbnew.EXCELLON_WRITER(board)
    drill.SetFormat(True)
    drill.SetOptions(False, False, board.GetDesignSettings().GetAuxOrigin(), False)
    drill.CreateDrillandMapFilesSet(folder, True, False)
    netlist = pcbnew.IPC356D_WRITER(board)
    netlist.Write(folder + "/netlist.d356")


JOBS: dict[str, Callable[..., None]] = {"fill": fill, "check": check, "plot": plot}

if __name__ == "__main__":
    JOBS[sys.argv[1]](*sys.argv[2:])
