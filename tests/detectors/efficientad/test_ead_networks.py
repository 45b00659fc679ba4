"""The layers of EAD tables 5.2 to 5.4: parameters, sizes, receptive field; dropout by its own generator."""

from __future__ import annotations

import pytest
import torch

from adrefine.backbones.pdn import RECEPTIVE_FIELD, Pdn
from adrefine.detectors.efficientad.networks import LOW, Autoencoder, dropout, positions, start_low, student

# kernel, inputs, outputs of every convolution, as the tables list them
SMALL = [(4, 3, 128), (4, 128, 256), (3, 256, 256), (4, 256, 768)]
MEDIUM = [(4, 3, 256), (4, 256, 512), (1, 512, 512), (3, 512, 512), (4, 512, 768), (1, 768, 768)]
ENCODER = [(4, 3, 32), (4, 32, 32), (4, 32, 64), (4, 64, 64), (4, 64, 64), (8, 64, 64)]
DECODER = [(4, 64, 64)] * 6 + [(3, 64, 64), (3, 64, 384)]


def weights(layers: list[tuple[int, int, int]]) -> int:
    return sum(kernel**2 * inputs * outputs + outputs for kernel, inputs, outputs in layers)


def count(net: torch.nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


@pytest.mark.parametrize(
    ("size", "layers", "parameters"), [("small", SMALL, 4_267_392), ("medium", MEDIUM, 11_615_488)]
)
def test_the_student_has_the_parameters_of_the_table(size, layers, parameters):
    assert count(student(size, True)) == weights(layers) == parameters


@pytest.mark.parametrize("size", ["small", "medium"])
def test_a_student_that_starts_low_differs_from_its_teacher_in_later_layers_alone(size):
    own, teacher = student(size, True), Pdn(size).to(torch.bfloat16)
    start_low(own, teacher)
    same = {
        name
        for name, weight in teacher.named_parameters()
        if torch.equal(own.get_parameter(name)[: len(weight)], weight.float())
    }
    assert same == {f"{layer}.{kind}" for layer in LOW for kind in ("weight", "bias")}
    assert own.conv1.weight.dtype == torch.float32


def test_the_autoencoder_has_the_parameters_of_the_table():
    """Those that EAD table 5.7 gives for the small PDN; for the medium one it gives those of the student."""
    assert count(Autoencoder(256)) == weights(ENCODER + DECODER) == 1_096_320


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("size", ["small", "medium"])
def test_the_receptive_field_is_33_pixels_with_either_padding(size, padding):
    net = student(size, padding)
    image = torch.rand(1, 3, 68, 68, requires_grad=True)
    out = net(image)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].square().sum().backward()
    seen = torch.nonzero(image.grad[0].abs().sum(dim=0))
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [RECEPTIVE_FIELD] * 2


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("side", [64, 96, 128, 256])
def test_autoencoder_and_student_make_maps_of_one_size(side, padding):
    size = positions(side, padding)
    with torch.no_grad():
        image = torch.rand(1, 3, side, side)
        assert Autoencoder(side, padding)(image).shape == (1, 384, size, size)
        assert student("small", padding)(image).shape == (1, 768, size, size)
    assert size == {(256, True): 64, (256, False): 56}.get((side, padding), size)


def test_the_sizes_in_between_are_those_of_the_table():
    sizes: list[int] = []
    net = Autoencoder(256)
    for layer in [*net.encoder, net.bottleneck, *net.decoder, *net.last]:
        layer.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    with torch.no_grad():
        net(torch.rand(1, 3, 256, 256))
    assert sizes == [128, 64, 32, 16, 8, 1, 4, 9, 16, 33, 64, 128, 64, 64]
    assert net.resized == [3, 8, 15, 32, 63, 127]
    assert net.bottleneck.out_channels == 64


def test_dropout_follows_its_generator_alone():
    x = torch.ones(200, 200)
    first, again, other = (dropout(x, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 1.25}
    assert (first == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert dropout(x, None) is x


def test_the_autoencoder_is_the_same_without_and_another_with_dropout():
    net, image = Autoencoder(64), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net(image), net(image))
        seen = [net(image, torch.Generator().manual_seed(3)) for _ in range(2)]
        assert torch.equal(*seen)
        assert not torch.equal(seen[0], net(image))
