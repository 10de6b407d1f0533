"""Tables of the audit: single choices against direct computation, planted truths and their absence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import zscore
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from kernel import stats
from kernel.audit import specifications as sp
from kernel.audit.material import Material
from kernel.brain import topography, tracking
from kernel.brain.cohort import standardise, trial_features
from kernel.brain.designs import CLASS_VALENCE, FACED_CLASSES, FACED_CLIP_EMOTIONS, FACED_FILMS, FACED_SCALP
from kernel.brain.projection import clip_effects
from kernel.brain.simulate import simulate_cohort

EMOTIONS = np.array(FACED_CLIP_EMOTIONS)
VALENCE = np.repeat(CLASS_VALENCE, [3, 3, 3, 3, 4, 3, 3, 3, 3])


def positions(seed=0):
    """Axes as the audit has them; the paper's and the models' stand for planted valence with noise."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((3, 9))[:, pd.factorize(EMOTIONS)[0]] / 4
    names = ("recovered", "language model", "second model")
    axes = {name: VALENCE + row for name, row in zip(names, noise, strict=True)}
    axes |= {"class ratings": VALENCE, "clip ratings": VALENCE + rng.standard_normal(28) / 10}
    axes["sign code"] = np.sign(VALENCE - 3.18)
    return pd.DataFrame(axes, index=pd.RangeIndex(1, 29, name="clip"))


def material_of(cohort, axes=None):
    return Material(cohort, positions() if axes is None else axes)


def simulated(seed, preset, n_subjects=24, window=30.0):
    return material_of(simulate_cohort(seed, preset, n_subjects=n_subjects, window=window)[0])


@pytest.fixture(scope="module")
def strong():
    return simulated(0, "strong_valence", window=10.0)


# The choices


def test_averagings_are_what_they_say(strong):
    cohort = strong.cohort
    trials = trial_features(cohort)
    np.testing.assert_allclose(sp._averaged(cohort, "raw mean"), trials.mean(0))
    np.testing.assert_allclose(sp._averaged(cohort, "median"), np.median(trials, axis=0))
    people = [(one - one.mean(0)) / one.std(0) for one in trials]
    np.testing.assert_allclose(sp._averaged(cohort, "z of clip means"), np.mean(people, axis=0))
    ordered = np.sort(trials, axis=0)[4:-4]  # a fifth of 24 people, rounded down
    np.testing.assert_allclose(sp._averaged(cohort, "trimmed mean"), ordered.mean(0))
    z = trial_features(standardise(cohort))
    np.testing.assert_allclose(sp._averaged(cohort, "standardised"), z.mean(0))
    effects = sp._averaged(cohort, "order removed")
    np.testing.assert_allclose(effects.reshape(28, -1), clip_effects(z, cohort.order))
    with pytest.raises(ValueError, match="averaging must be one of raw mean"):
        sp._averaged(cohort, "mode")


def test_channel_sets_are_what_they_say(strong):
    names = strong.cohort.channels
    chosen = {key: [names[place] for place in sp._channel_places(names, key)] for key in sp.CHANNEL_SETS}
    assert chosen["all"] == names and chosen["scalp"] == list(FACED_SCALP)
    assert chosen["posterior"] == "Pz P3 P4 P7 P8 PO3 PO4 Oz O1 O2".split()
    assert chosen["frontal"] == "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6".split()
    with pytest.raises(ValueError, match="channel set must be one of"):
        sp._channel_places(names, "left")


def test_permutations_keep_what_they_should():
    axes, code = positions(), pd.factorize(EMOTIONS)[0]
    emotions, clips = (sp._permuted_axes(axes, EMOTIONS, null, 50, 0) for null in ("emotions", "clips"))
    for shuffled in (emotions, clips):
        assert shuffled.shape == (51, 6, 28)
        np.testing.assert_allclose(shuffled[0], axes.T)
    np.testing.assert_allclose(np.sort(clips, axis=2), np.sort(np.broadcast_to(axes.T, clips.shape), axis=2))
    # emotions trade their means, the same of every axis, and clips what they deviate from these
    rated, human = (axes.columns.get_loc(name) for name in ("clip ratings", "class ratings"))
    means = axes.groupby(code).mean()
    places = np.abs(emotions[:, human, :, None] - means["class ratings"].to_numpy()).argmin(2)
    deviations = axes["clip ratings"] - means["clip ratings"].to_numpy()[code]
    left = np.sort(emotions[:, rated] - means["clip ratings"].to_numpy()[places], axis=1)
    np.testing.assert_allclose(left, np.broadcast_to(np.sort(deviations), left.shape), atol=1e-12)
    assert all(np.ptp(places[:, code == kind], axis=1).max() == 0 for kind in range(9))


def test_correlations_equal_refitting(strong):
    means, films = sp._averaged(strong.cohort, "raw mean"), np.array(FACED_FILMS)
    targets = np.stack([VALENCE, np.arange(28.0)])
    r = sp._specification_correlations(means, strong.cohort.channels, EMOTIONS, films, targets)
    assert r.shape == (4, 3, 4, 2)
    X = zscore(means[:, sp._channel_places(strong.cohort.channels, "posterior")].reshape(28, -1))
    for k, groups in enumerate((None, np.arange(28), films, EMOTIONS)):
        for target, ours in zip(targets, r[2, 1, k], strict=True):
            model = Ridge(alpha=100.0)
            if groups is None:
                fit = model.fit(X, target).predict(X)
            else:
                fit = cross_val_predict(model, X, target, groups=groups, cv=LeaveOneGroupOut())
            assert ours == pytest.approx(np.corrcoef(fit, target)[0, 1], abs=1e-9)


def test_ranks_are_permutation_p_values(rng):
    r = np.round(rng.standard_normal((3, 40)), 1)  # with ties
    p = sp._ranks(r, 1)
    for row, values in zip(p, r, strict=True):
        assert row[0] == pytest.approx(stats.permutation_p(values[0], values[1:], alternative="greater"))


# The curve


def test_planted_valence_is_found_by_the_curve_as_a_whole(strong, monkeypatch):
    monkeypatch.setattr(sp, "N_PERMUTATIONS", 39)
    table = sp.specifications(strong, "standardised")
    assert len(table) == 240 and set(table["averaging"]) == {"standardised"}
    unseen = table[table["scheme"] == "leave emotion"]
    assert (unseen["p_emotions"] < 0.05).mean() > 0.3
    share = sp.specification_share(strong, "all").set_index(["scheme", "null"])
    assert share.loc[("leave emotion", "emotions"), "share"] > 0.3
    assert share.loc[("leave emotion", "emotions"), "p"] < 0.05
    assert (share["n"] == 360).all() and share.xs("textbook", level="null")["p"].isna().all()
    pd.testing.assert_frame_equal(table, sp.specifications(strong, "standardised"))


def test_the_curve_as_a_whole_is_quiet_without_valence(monkeypatch):
    """Ten cohorts of decodable emotions; 4 or more of 10 at .05 have probability .001."""
    monkeypatch.setattr(sp, "N_PERMUTATIONS", 19)
    monkeypatch.setattr(sp, "AVERAGINGS", ("standardised",))
    rejected = []
    for seed in range(10):
        study = simulated(seed, "no_valence", n_subjects=12)
        share = sp.specification_share(study, "all").set_index(["scheme", "null"])
        rejected.append(share.loc[("leave emotion", "emotions"), "p"] <= 0.05)
    assert sum(rejected) < 4
    assert share.loc[("in sample", "textbook"), "share"] > 0.9  # whatever the brain does


# The preregistered tests, taken over


def test_projection_and_maps_are_those_of_the_study(strong, monkeypatch):
    def fewer(cohort, values, **options):
        return tracking.project_vaxis(
            cohort, values, valence=options["valence"], n_permutations=20, n_slow=20
        )

    monkeypatch.setattr(sp, "project_vaxis", fewer)
    table = sp.tests_of_projection(strong, "second model")
    values = dict(zip(EMOTIONS.tolist(), strong.axes["second model"], strict=True))
    human = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
    direct = fewer(strong.scalp, values, valence=human)
    ours = table.set_index(["estimator", "null"])
    assert ours.loc[("leave_one_emotion_out", "emotions"), "value"] == direct.tracking.r
    assert ours.loc[("order removed", "emotions"), "p"] == direct.order_removed.p
    assert ours.loc[("emotion means", "emotions"), "value"] == direct.classes.observed
    assert tuple(ours.loc[("reliability", "none"), ["value", "low", "high"]]) == direct.reliability
    assert ours.loc[("reliability", "none"), "n"] == 24  # people
    assert len(table) == 19 and table["value"].notna().all()
    # films are unknown here, so that each clip is one of its own
    r = ours.xs("emotions", level="null")["value"]
    assert r["leave_one_film_out, standardised"] == pytest.approx(r["leave_one_clip_out"])

    held = sp.held_out_predictions(strong, "second model")
    one = held.query("features == 'standardised' and left_out == 'emotion'")
    np.testing.assert_allclose(one["prediction"], direct.model.held_out_)
    assert len(held) == 2 * 3 * 28

    def map_fewer(cohort, values):
        return tracking.map_vaxis_to_scalp(cohort, values, n_permutations=20, n_slow=20)

    monkeypatch.setattr(sp, "map_vaxis_to_scalp", map_fewer)
    claims = sp.topography_tests(strong, "second model").set_index("claim")
    direct = map_fewer(strong.scalp, values)
    assert claims.loc["C5.alpha_first", "value"] == direct.alpha.observed
    assert claims.loc["C5.simpson", "high"] == direct.simpson.opposed.high
    assert claims["value"].notna().all() and (claims["p"].notna() ^ claims["low"].notna()).all()


def test_maps_agree_with_topography(strong):
    cells = sp.cells(strong, "recovered").set_index(["channel", "band"])
    means, y = sp._averaged(strong.cohort, "raw mean"), strong.axes["recovered"].to_numpy()
    r = topography.cell_correlations(means, y)
    assert len(cells) == 160
    assert cells.loc[("PO3", "alpha"), "r"] == pytest.approx(r[strong.cohort.channels.index("PO3"), 2])
    table = sp.map_means(strong, "language model").set_index(["kind", "name"])["value"]
    axis, channels = strong.axes["language model"].to_numpy(), strong.scalp.channels
    size = np.abs(topography.cell_correlations(sp._averaged(strong.scalp, "standardised"), axis))
    np.testing.assert_allclose(table["band"][list(strong.scalp.bands)], size.mean(0))
    for region, names in topography.regions(channels).items():
        assert table["region", region] == pytest.approx(size[np.isin(channels, names)].mean())
    choices = sp.map_choices(strong, "raw mean").set_index(["axis", "figure"])["value"]
    assert choices["recovered", "mean |r| alpha"] == pytest.approx(np.abs(r[:, 2]).mean())
    assert len(choices) == 5 * 18 + 3


# Who carries it


def test_a_figure_without_a_person_is_that_of_the_others(strong):
    table = sp.jackknife(strong, "all").set_index(["figure", "subject"])
    subjects = [int(one) for one in strong.cohort.subjects if one != 7]
    others = material_of(strong.cohort.select(subjects=subjects))
    for figure in sp.CARRIED:
        without = sp._carried(sp._averaged(others.cohort, "raw mean"), figure, others)
        everybody = sp._carried(sp._averaged(strong.cohort, "raw mean"), figure, strong)
        assert table.loc[(figure, 7), "r"] == pytest.approx(without, abs=1e-6)
        assert table.loc[(figure, 7), "influence"] == pytest.approx(everybody - without, abs=1e-6)


def best_cell_planted(rng, people, size):
    """Noise of all, and `size` times valence at PO3/gamma in some people."""
    cohort, _ = simulate_cohort(0, "null", n_subjects=24, window=30.0)
    de = rng.normal(0, 0.2, cohort.de.shape)
    de[people, :, 0, cohort.channels.index("PO3"), 4] += size * (VALENCE - VALENCE.mean())
    return material_of(cohort.with_de(de))


def test_one_person_who_carries_a_cell_is_found_first_and_what_all_carry_is_not_taken_by_a_few(rng):
    one, everybody = (
        sp.greedy_removal(best_cell_planted(rng, people, size), sp.REMOVALS[0], n_removed=8, n_draws=20)
        for people, size in (([11], 3.0), (slice(None), 0.5))
    )
    assert one.loc[0, "r"] > 0.9 and one.loc[1, "subject"] == 11 and sp.fewest(one) == 1
    assert one.loc[1, "median"] > 0.9  # at random, somebody else leaves
    np.testing.assert_allclose(stats.textbook_p(one["limit"], 28), 0.05)
    assert sp.fewest(everybody) == 9 and everybody["r"].min() > 0.8


def with_ratings(material, values):
    rating = {"rating": (("clip", "item"), values.mean(0)[:, None])}
    rating["person_rating"] = (("subject", "clip", "item"), values[..., None].astype(np.float32))
    data = material.cohort.data.drop_vars(["rating", "item"], errors="ignore")
    data = data.assign_coords(hardware=("subject", ["cohort 1", "cohort 2"] * 12)).assign(rating)
    return material_of(type(material.cohort)(data.assign_coords(item=["valence"])))


def test_centring_takes_away_an_agreement_that_is_no_clips(rng, strong):
    noise = simulated(0, "null")
    level = rng.normal(0, 3, noise.cohort.de.shape[3:])
    flat = noise.cohort.with_de(rng.normal(0, 1, noise.cohort.de.shape) + level)
    scores = 4 + rng.standard_normal((24, 28))
    table = sp.reliability(with_ratings(material_of(flat), scores), "all", n_halvings=20)
    r = table.set_index(["features", "groups"])["r"]
    assert r["raw", "odd and even"] > 0.95
    for features in ("raw, centred", "standardised, centred", "order removed"):
        assert abs(r[features, "odd and even"]) < 0.1
    expected = np.corrcoef(scores[1::2].mean(0), scores[::2].mean(0))[0, 1]
    assert r["ratings of valence", "odd and even"] == pytest.approx(expected, abs=1e-6)


def test_clips_that_act_on_all_are_reliable(strong):
    material = with_ratings(strong, np.tile(VALENCE, (24, 1)))
    table = sp.reliability(material, "all", n_halvings=5).set_index(["features", "groups"])
    assert table.loc[("standardised, centred", "odd and even"), "r"] > 0.3
    # recording cohorts that alternate are the even and odd ids
    both = table["r"].unstack()
    np.testing.assert_allclose(both["odd and even"], both["recording cohorts"])


# FACED itself


@pytest.mark.faced
def test_ratings_of_faced_are_as_reliable_as_the_paper_says(faced):
    table = sp.reliability(material_of(faced), "all", n_halvings=2).set_index(["features", "groups"])["r"]
    assert table["ratings of valence", "odd and even"] == pytest.approx(0.9877, abs=5e-5)
    assert set(faced.films) == set(FACED_FILMS)
