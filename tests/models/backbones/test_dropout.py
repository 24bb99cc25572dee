"""Dropout masks belong to texts: the same whatever the texts are computed with."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from splade.models.backbones.dropout import TextDropout, checkpoint_contexts, keep, only, over_runs, packed
from splade.models.backbones.packed import Run

KEYS = torch.tensor([11, -5, 2**62, 123456789, -(2**63)])
WORD = 2**64


def split_mix(state, steps):
    """The generator as its paper has it, in whole numbers."""
    state = (state + steps * 0x9E3779B97F4A7C15) % WORD
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % WORD
    state = (state ^ state >> 27) * 0x94D049BB133111EB % WORD
    return state ^ state >> 31


def signed(number):
    return number - WORD if number >= WORD // 2 else number


def test_the_generator_is_split_mix():
    # the first outputs for the seed 1234567, as published with the algorithm
    state, found = 1234567, []
    for number in range(1, 4):
        found.append(split_mix(state, number))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_masks_are_the_lanes_of_the_generator_seeded_from_key_site_and_place():
    kept = keep(KEYS, 3, (5, 2, 7, 6), 20000)
    for text, key in enumerate(KEYS.tolist()):
        for head in range(2):
            for position in (0, 6):
                row = split_mix(split_mix(split_mix(key % WORD, 3), head + 1), position + 1)
                for element in range(6):
                    lane = split_mix(row, element // 4 + 1) >> 16 * (element % 4) & 0xFFFF
                    lane = lane - 65536 if lane >= 32768 else lane
                    assert bool(kept[text, head, position, element]) == (lane >= 20000 - 32768)


def test_padding_order_and_company_change_no_text_s_mask():
    wide = keep(KEYS, 1, (5, 3, 9, 10), 30000)
    assert torch.equal(keep(KEYS, 1, (5, 3, 4, 7), 30000), wide[:, :, :4, :7])
    rows = torch.tensor([3, 0])
    assert torch.equal(keep(KEYS[rows], 1, (2, 3, 9, 10), 30000), wide[rows])


@pytest.mark.parametrize("rate", [0.1, 0.37, 0.9])
def test_the_rate_is_kept_and_the_mean_too(rate):
    keys = torch.arange(40) * 977
    with TextDropout(keys).active():
        dropped = F.dropout(torch.ones(40, 50, 64), rate)
    n = dropped.numel()
    share = (dropped == 0).double().mean().item()
    assert abs(share - rate) < 5 * (rate * (1 - rate) / n) ** 0.5
    assert dropped.double().mean().item() == pytest.approx(1, abs=0.02)
    assert len(dropped.unique()) == 2


def test_masks_of_texts_sites_rows_and_elements_are_unrelated():
    keys = torch.arange(64)  # as alike as keys can be
    masks = torch.stack([keep(keys, site, (64, 16, 64), 32768) for site in (1, 2)]).double() - 0.5
    for axis in range(4):
        shifted = (masks * masks.roll(1, dims=axis)).mean().item() * 4
        assert abs(shifted) < 5 / masks.numel() ** 0.5 * (1 if masks.shape[axis] > 2 else 1.5)


def test_two_dropouts_of_one_pass_differ_and_the_next_pass_repeats_them():
    layer, values = nn.Dropout(0.5), torch.ones(5, 8)
    passes = []
    for _ in range(2):
        with TextDropout(KEYS).active():
            passes.append((layer(values), layer(values)))
    assert torch.equal(passes[0][0], passes[1][0])
    assert torch.equal(passes[0][1], passes[1][1])
    assert not torch.equal(passes[0][0], passes[0][1])


def test_texts_computed_in_parts_meet_the_masks_of_the_whole():
    values = torch.randn(5, 6, 8)

    def computed(given):
        return F.dropout(F.dropout(given, 0.5) + 1, 0.3)

    with TextDropout(KEYS).active():
        whole = computed(values)
    with TextDropout(KEYS).active():
        for rows in (torch.tensor([4, 1]), torch.tensor([0]), torch.tensor([2, 3])):
            with only(rows):
                assert torch.equal(computed(values[rows, :4]), whole[rows, :4])


def test_packed_texts_meet_the_masks_that_they_have_when_padded():
    torch.manual_seed(0)
    lengths, rows = [3, 3, 6, 1], torch.tensor([4, 1, 0, 2])
    runs = [Run(0, 2, 3), Run(2, 1, 6), Run(3, 1, 1)]
    hidden, scores = torch.randn(4, 6, 8), torch.randn(4, 2, 6, 6)

    with TextDropout(KEYS).active(), only(rows):
        before, inside, after = F.dropout(hidden, 0.5), F.dropout(scores, 0.5), F.dropout(hidden, 0.5)
    row = torch.cat([text[:n] for text, n in zip(hidden, lengths, strict=True)]).unsqueeze(0)
    with TextDropout(KEYS).active(), packed(rows, lengths):
        first = F.dropout(row, 0.5)
        for run in over_runs(runs):
            part = slice(run.text, run.text + run.n_texts), slice(None), slice(run.length), slice(run.length)
            assert torch.equal(F.dropout(scores[part], 0.5), inside[part])
        last = F.dropout(row, 0.5)
    for found, expected in ((first, before), (last, after)):
        assert torch.equal(found[0], torch.cat([text[:n] for text, n in zip(expected, lengths, strict=True)]))
    assert list(over_runs(runs)) == runs


def test_attention_without_dropout_is_torchs_and_with_it_has_its_mean():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 5, 4, 6, 8, dtype=torch.float64).unbind(0)
    mask = torch.rand(5, 1, 1, 6) > 0.3
    mask[..., 0] = True
    plain = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    with TextDropout(KEYS).active() as active:
        assert torch.equal(F.scaled_dot_product_attention(query, key, value, attn_mask=mask), plain)
        assert active.site == 0
        many = [F.scaled_dot_product_attention(query, key, value, mask, 0.2) for _ in range(3000)]
    mean = torch.stack(many).mean(dim=0)
    torch.testing.assert_close(mean, plain, atol=0.06, rtol=0)


@pytest.mark.parametrize(
    "options",
    [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": torch.linspace(-2, 2, 5 * 4 * 6 * 6).reshape(5, 4, 6, 6)}],
    ids=["plain", "causal", "scaled", "masked"],
)
def test_attention_with_a_vanishing_rate_is_torchs(options):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 5, 4, 6, 8).unbind(0)
    expected = F.scaled_dot_product_attention(query, key, value, **options)
    with TextDropout(KEYS).active():
        found = F.scaled_dot_product_attention(query, key, value, dropout_p=1e-9, **options)
    torch.testing.assert_close(found, expected)


def test_heads_that_share_keys_are_served():
    torch.manual_seed(0)
    query, few = torch.randn(5, 4, 6, 8), torch.randn(5, 2, 6, 8)
    expected = F.scaled_dot_product_attention(query, few, few, enable_gqa=True)
    with TextDropout(KEYS).active():
        found = F.scaled_dot_product_attention(query, few, few, dropout_p=1e-9, enable_gqa=True)
    torch.testing.assert_close(found, expected)


def test_dropout_passes_the_gradient_of_what_it_kept():
    values = torch.randn(5, 6, 8, requires_grad=True)
    with TextDropout(KEYS).active():
        dropped = F.dropout(values, 0.25)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, (dropped != 0) / 0.75)


@pytest.mark.parametrize(("rate", "training", "left"), [(0.0, True, 1.0), (0.5, False, 1.0), (1.0, True, 0.0)])
def test_nothing_is_drawn_where_nothing_or_everything_is_dropped(rate, training, left):
    with TextDropout(KEYS).active():
        assert torch.equal(F.dropout(torch.ones(5, 3), rate, training), torch.full((5, 3), left))


def test_what_has_no_row_per_text_draws_as_torch_does_and_is_named():
    torch.manual_seed(3)
    expected = F.dropout(torch.ones(1, 40), 0.5)
    torch.manual_seed(3)
    with TextDropout(KEYS).active() as active:
        assert torch.equal(F.dropout(torch.ones(1, 40), 0.5), expected)
    assert active.unreached == {"dropout of a tensor [1, 40]"}


def test_outside_nothing_is_changed():
    with only(torch.tensor([0])):
        torch.manual_seed(1)
        inside = F.dropout(torch.ones(2, 9))
    torch.manual_seed(1)
    assert torch.equal(inside, F.dropout(torch.ones(2, 9)))


def test_what_is_computed_again_for_the_gradient_meets_the_same_masks():
    torch.manual_seed(0)
    layers, values = [nn.Linear(8, 8) for _ in range(3)], torch.randn(5, 6, 8)
    found = []
    for again in (False, True):
        given = values.clone().requires_grad_()
        state = given
        with TextDropout(KEYS).active():
            for layer in layers:

                def part(part_of, layer=layer):
                    return F.dropout(torch.relu(layer(F.dropout(part_of, 0.2))), 0.4)

                state = (
                    checkpoint(part, state, use_reentrant=False, context_fn=checkpoint_contexts)
                    if again
                    else part(state)
                )
        state.square().sum().backward()
        found.append((state.detach(), given.grad))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])
