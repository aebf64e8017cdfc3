"""The layers that are measured: facts, kinds, sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.layers import KINDS, NCHW, NETWORKS, SETS, Layer, load, select

# multiply-adds of all convolutions of a network, x 10^9, as its paper or its authors' table gives them
PUBLISHED = {"resnet50": 4.09, "mobilenet": 0.568, "vgg19": 19.5, "yolov2": 31.4}


def total(network: str) -> float:
    """Multiply-adds of a network's convolutions."""
    uses = [(layer, dict(layer.uses).get(network, 0)) for layer in load()]
    return sum((layer.spec().operations or 0) / 2 * times for layer, times in uses)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_s_layers_add_up_to_what_is_published(network: str) -> None:
    assert total(network) / 1e9 == pytest.approx(PUBLISHED[network], rel=0.02)


def test_every_shape_is_there_once() -> None:
    layers = load()
    facts = [(x.groups, x.c, x.oc, x.size, x.kernel, x.stride, x.dilation, x.pad) for x in layers]
    assert len(set(facts)) == len(layers)
    assert len({layer.name for layer in layers}) == len(layers)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("56x56x64 3x3", "report"),
        ("28x28x128 3x3", "report"),
        ("7x7x512 3x3", "report"),
        ("14x14x256 3x3", "3x3"),
        ("56x56x128 3x3 s2", "3x3"),
        ("56x56x256 1x1 s2 512", "1x1"),
        ("224x224x3 7x7 s2 64", "first"),
        ("224x224x3 3x3 64", "first"),
        ("28x28x256 3x3 g256", "depthwise"),
        ("56x56x128 3x3 g32", "grouped"),
        ("28x28x256 3x3 g32", "other"),
        ("28x28x240 5x5 g240", "other"),
        ("28x28x256 3x3 d2", "other"),
        ("37x53x35 5x3 47", "other"),
        ("1x1x2048 1x1 1000", "other"),
    ],
)
def test_kinds(shape: str, kind: str) -> None:
    (layer,) = select(load(), ["all"], shape) if shape[-1].isdigit() and " 1x1" in shape else exactly(shape)
    assert layer.kind == kind


def exactly(shape: str) -> list[Layer]:
    return [layer for layer in load() if layer.shape == shape]


def test_sets() -> None:
    everything = select(load(), ["all"])
    assert len(everything) == len(load())
    assert [layer.kind for layer in everything] == sorted((x.kind for x in everything), key=KINDS.index)
    assert len(select(load(), ["report"])) == 3
    assert set(select(load(), ["networks"])) | set(select(load(), ["special"])) == set(everything)
    assert all(select(load(), [name]) for name in SETS)
    assert [layer.shape for layer in select(load(), ["vgg19", "report"], "56x56x64")] == ["56x56x64 3x3"]


def test_a_spec_has_its_axes_in_the_order_asked_for() -> None:
    (layer,) = exactly("224x224x3 7x7 s2 64")
    assert layer.spec().input.axes == ("N", "H", "W", "C")
    spec = layer.spec(NCHW)
    assert (spec.input.axes, spec.output.axes) == (NCHW, ("N", "OC", "OH", "OW"))
    assert spec.out_size == (112, 112)


def test_a_layer_of_two_networks_is_measured_once(tmp_path: Path) -> None:
    head = "network,layer,times,groups,c,oc,h,w,kh,kw,stride,dilation,pad_h,pad_w\n"
    facts = "1,8,8,4,4,3,3,1,1,1,1\n"
    path = tmp_path / "layers.csv"
    path.write_text(f"{head}resnet50,a,2,{facts}vgg19,b,3,{facts}")
    assert [layer.uses for layer in load(path)] == [(("resnet50", 2), ("vgg19", 3))]
