"""The comparison of LiteLLM's figures with the clouds' bills: rows, floors, what is named first, and what is told."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from usage import anthropic_bill, aws_bill, azure_bill, bill, bill_texts, environment, openai_bill
from usage.bill_comparison import FLOOR, Comparison, Count, Counted, compare, count, percent
from usage.bill_lines import Kind, Line, Profiles, Statement
from usage.errors import RefusedError, UnavailableError
from usage.litellm import Deployment, Usage

OPUS, SONNET = "bedrock/us.anthropic.claude-opus-5-5", "bedrock/us.anthropic.claude-sonnet-5-5"
GPT, GEMINI = "azure/gpt-6.1-sol", "vertex_ai/gemini-4-argon"
NAMES = {OPUS: "claude-opus-5-5", SONNET: "claude-sonnet-5-5", GPT: "gpt-6.1-sol", GEMINI: "gemini-4-argon"}
MILLION = 1_000_000


def usage(deployment: str, who: str, cost: float, *, day: int = 1, **tokens: int) -> Usage:
    fields = {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0, "cache_write_tokens": 0} | tokens
    name = NAMES.get(deployment, "name")
    return Usage(f"2026-10-{day:02}", who, name, deployment, requests=1, cost=cost, **fields)


def counted(*rows: Usage, provider: str = "bedrock", names: Mapping[str, str] = NAMES) -> Count:
    """The count of calls that are as well in the figures by user as in those by tag; without a region, only there."""
    users = [replace(row, who="user@example.com") for row in rows]
    return count(users, [row for row in rows if row.who], names).get(provider, Count())


def line(model: str, region: str, cost: float, kind: Kind = "input", quantity: float = 0.0, **more: Any) -> Line:  # noqa: ANN401
    return Line(f"{model} {kind}", model, region, kind, cost, quantity, **more)


class TestCount:
    def test_users_and_days_add_up_and_only_regions_tags_share_the_sums(self) -> None:
        tokens = {"prompt_tokens": 100, "cached_tokens": 60, "cache_write_tokens": 10, "completion_tokens": 7}
        found = count(
            [
                usage(OPUS, "a@example.com", 5.0, **tokens),
                usage(OPUS, "b@example.com", 1.0),
                usage(OPUS, "a@example.com", 2.0, day=2, **tokens),
                usage(GPT, "", 8.0),  # of nobody that LiteLLM knows
                usage("openai/gpt-5", "a@example.com", 16.0),
                usage("a-tool", "a@example.com", 0.0),  # which is no deployment
            ],
            [
                usage(OPUS, "region:us-west-2", 1.0, **tokens),
                usage(OPUS, "region:us-west-2", 2.0, day=2, **tokens),
                usage(OPUS, "region:us-east-1", 1.0),
                usage(OPUS, "User-Agent: python", 99.0),
                usage(GPT, "region:Acme", 8.0),
                usage("openai/gpt-5", "region:x", 16.0),
            ],
            {SONNET: "claude-sonnet-5-5"},
        )
        assert {key: one.cost for key, one in found["bedrock"].counted.items()} == {
            ("us-west-2", OPUS): 6.0,
            ("us-east-1", OPUS): 2.0,
        }
        west = found["bedrock"].counted["us-west-2", OPUS]
        assert west.tokens == {"input": 60, "cached": 120, "cache_write": 20, "output": 14, "other": 0}
        assert west.requests == 2
        assert found["bedrock"].models == {SONNET: "claude-sonnet-5-5", OPUS: OPUS}
        assert found["bedrock"].untagged_percent == 50.0  # 4 of 8 dollars
        assert found["azure"].counted["acme", GPT].cost == 8.0
        assert found["azure"].untagged_percent == 0.0
        assert {provider: one.cost for provider, one in found.items()} == {"bedrock": 8.0, "azure": 8.0, "openai": 16.0}

    @pytest.mark.parametrize("kept", [1000, 987, 600])
    def test_the_regions_have_together_what_the_users_have(self, kept: int) -> None:
        regions = [(f"r{n}", n * 7_919 + 1) for n in range(7)]

        def tokens(n: int, factor: int) -> dict[str, int]:
            names = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens")
            return {name: n * factor * part for name, part in zip(names, (9, 7, 5, 3), strict=True)}

        users = [usage(OPUS, who, n * 0.1, **tokens(n, 1000)) for _, n in regions for who in "abc"]
        tags = [usage(OPUS, f"region:{one}", n * 1e-4 * kept, **tokens(n, kept)) for one, n in regions]
        found = count(users, tags, {})["bedrock"]
        parts = found.counted.values()
        total = Counted()
        for row in users:
            total.add(row)
        assert sum(one.requests for one in parts) == total.requests
        assert {kind: sum(one.tokens[kind] for one in parts) for kind in total.tokens} == total.tokens
        assert math.isclose(found.cost, total.cost, rel_tol=1e-14)  # but for the last digit of a sum of floats
        assert found.untagged_percent == pytest.approx(100 - kept / 30)
        for region, n in regions:  # the loss is as large in each of them, so the shares are as they were
            one = found.counted[region, OPUS]
            assert one.cost == pytest.approx(0.3 * n)
            assert one.tokens["output"] == pytest.approx(21_000 * n, abs=1)

    def test_tokens_that_the_tags_have_none_of_are_shared_as_the_calls(self) -> None:
        calls = [*[usage(OPUS, "region:us-west-2", 0.0)] * 3, usage(OPUS, "region:us-east-1", 0.0)]
        found = count([usage(OPUS, "a", 4.0, prompt_tokens=10, cached_tokens=8)], calls, {})["bedrock"]
        shared = {region: (one.cost, one.tokens["cached"]) for (region, _), one in found.counted.items()}
        assert shared == {"us-west-2": (3.0, 6), "us-east-1": (1.0, 2)}

    def test_without_a_tag_the_region_is_unknown(self) -> None:
        rows = [usage(OPUS, "a", 4.0), usage(SONNET, "a", 4.0)]
        tags = [usage(OPUS, "region:us-west-2", 4.0), usage(SONNET, "region:unknown", 4.0), usage(GPT, "region:x", 1.0)]
        found = count(rows, tags, {})
        assert found["bedrock"].counted.keys() == {("us-west-2", OPUS), ("", SONNET)}
        assert (found["bedrock"].regions, found["bedrock"].untagged_percent) == ({"us-west-2"}, 50.0)
        assert "azure" not in found  # what no user has is nobody's


class TestCompare:
    def test_by_model_and_region(self) -> None:
        found = compare(
            "bedrock",
            counted(
                usage(OPUS, "region:us-west-2", 100.0),
                usage(OPUS, "region:us-east-1", 50.0),
                usage(SONNET, "region:us-west-2", 10.0),
            ),
            Statement(
                [
                    line("Claude Opus 5.5", "us-west-2", 60.0),
                    line("Claude Opus 5.5", "us-west-2", 50.0, "output"),
                    line("Claude Opus 5.5", "us-east-1", 50.0),
                    line("Claude Sonnet 5.5", "us-west-2", 10.0),
                ]
            ),
        )
        rows = {
            (row.region, row.deployments): (row.counted.cost, row.billed, round(row.percent, 2)) for row in found.rows
        }
        assert rows == {
            ("us-east-1", (OPUS,)): (50.0, 50.0, 0.0),
            ("us-west-2", (OPUS,)): (100.0, 110.0, -9.09),
            ("us-west-2", (SONNET,)): (10.0, 10.0, 0.0),
        }
        assert (found.counted, found.billed) == (160.0, 170.0)
        assert found.percent == pytest.approx(-100 / 17)
        assert found.worst == pytest.approx(100 / 11)
        # The model as a whole is above 3 %, and below 7 %, where one of its regions is still above.
        assert [(row.deployments, row.region, row.billed) for row in found.above(3)] == [((OPUS,), "", 160.0)]
        assert [(row.deployments, row.region, row.billed) for row in found.above(7)] == [((OPUS,), "us-west-2", 110.0)]

    def test_what_is_noise_in_each_region_is_none_in_their_sum(self) -> None:
        regions = ("us-west-2", "us-east-1", "us-east-2")
        found = compare(
            "bedrock",
            counted(*(usage(OPUS, f"region:{region}", 5.0) for region in regions)),
            Statement([line("Claude Opus 5.5", region, 5.4) for region in regions]),
        )
        assert [row.percent for row in found.rows] == [0.0] * 3
        assert found.worst == pytest.approx(100 * 1.2 / 16.2)
        assert [row.region for row in found.above(3)] == [""]

    def test_errors_that_cancel_out_are_seen(self) -> None:
        found = compare(
            "bedrock",
            counted(usage(OPUS, "region:us-west-2", 110.0), usage(SONNET, "region:us-west-2", 90.0)),
            Statement([line("Claude Opus 5.5", "us-west-2", 100.0), line("Claude Sonnet 5.5", "us-west-2", 100.0)]),
        )
        assert found.percent == 0.0
        assert found.worst == pytest.approx(10.0)

    def test_what_fits_nothing_is_told_and_in_no_percentage(self) -> None:
        other = line("Guardrail-Units", "us-west-2", 7.0, "other")
        elsewhere = line("Claude Opus 5.5", "eu-west-1", 5.0)
        statement = Statement([line("Claude Opus 5.5", "us-west-2", 100.0), other, elsewhere])
        found = compare("bedrock", counted(usage(OPUS, "region:us-west-2", 100.0)), statement)
        assert found.unmatched == [other, elsewhere]
        assert (found.left_over, found.worst) == (12.0, 0.0)

    def test_a_model_that_litellm_did_not_count(self) -> None:
        statement = Statement(
            [line("Claude Opus 5.5", "us-west-2", 10.0), line("Claude Sonnet 5.5", "us-west-2", 40.0)]
        )
        found = compare("bedrock", counted(usage(OPUS, "region:us-west-2", 10.0)), statement)
        (row,) = found.above(3)
        assert (row.deployments, row.counted.cost, row.percent) == ((SONNET,), 0.0, -100.0)
        assert "no call" in bill_texts.finding(row)

    def test_a_model_that_is_not_on_the_bill(self) -> None:
        found = compare("bedrock", counted(usage(OPUS, "region:us-west-2", 10.0)), Statement([]))
        assert (found.worst, found.percent) == (100.0, 100.0)
        assert "nothing on the bill fits" in bill_texts.finding(found.rows[0])

    def test_global_profiles_are_lines_of_their_own(self) -> None:
        everywhere = "bedrock/global.anthropic.claude-opus-5-5"
        lines = [
            line("Claude Opus 5.5", "us-west-2", 20.0),
            line("Claude Opus 5.5", "us-west-2", 9.0, everywhere=True),
        ]
        both = counted(
            usage(OPUS, "region:us-west-2", 20.0),
            usage(everywhere, "region:us-west-2", 9.0),
            names={OPUS: "a", everywhere: "b"},
        )
        assert {row.deployments: row.billed for row in compare("bedrock", both, Statement(lines)).rows} == {
            (OPUS,): 20.0,
            (everywhere,): 9.0,
        }
        one = counted(usage(OPUS, "region:us-west-2", 29.0), names={OPUS: "a"})
        assert [row.billed for row in compare("bedrock", one, Statement(lines)).rows] == [29.0]

    def test_deployments_that_the_bill_cannot_tell_apart_are_one_row(self) -> None:
        dated = "azure/gpt-6.1-sol-2026-09-29"
        found = compare(
            "azure",
            counted(
                usage(GPT, "region:acme", 4.0),
                usage(dated, "region:acme", 6.0),
                provider="azure",
                names={GPT: "gpt", dated: "gpt"},
            ),
            Statement([line("6.1 sol", "acme", 10.0)]),
        )
        (row,) = found.rows
        assert (row.deployments, row.counted.cost, row.billed) == ((GPT, dated), 10.0, 10.0)

    def test_a_deployment_of_another_name_is_known_by_what_people_call_it(self) -> None:
        named = "azure/production-chat"
        one = counted(usage(named, "region:acme", 10.0), provider="azure", names={named: "best, gpt-6.1-sol"})
        (row,) = compare("azure", one, Statement([line("6.1 sol", "acme", 10.0)])).rows
        assert (row.deployments, row.billed) == ((named,), 10.0)

    def test_a_profile_and_its_model_are_one_row(self) -> None:
        profile = "bedrock/arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/b1"
        one = counted(
            usage(OPUS, "region:us-west-2", 50.0),
            usage(profile, "region:us-west-2", 20.0),
            names={OPUS: "claude-opus-5-5", profile: "claude-opus-5-5"},
        )
        (row,) = compare("bedrock", one, Statement([line("Claude Opus 5.5", "us-west-2", 70.0)])).rows
        assert (row.deployments, row.counted.cost, row.billed) == ((profile, OPUS), 70.0, 70.0)

    def test_application_inference_profiles_by_tag(self) -> None:
        arns = [f"arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/{name}" for name in ("b1", "r2")]
        blue, red = (f"bedrock/{arn}" for arn in arns)
        one = counted(
            usage(blue, "region:us-west-2", 50.0),
            usage(red, "region:us-west-2", 20.0),
            names={blue: "claude-opus-5-5", red: "red-claude"},
        )
        statement = Statement([line("Claude Opus 5.5", "us-west-2", 70.0)])
        costs = {("claude-opus-5-5", "us-west-2"): 60.0, ("r2", "us-west-2"): 20.0, ("unused", "us-west-2"): 1.0}
        found = compare("bedrock", one, statement, Profiles(costs, {"r2": {"Claude Opus 5.5"}}))
        # What the red one's model is only the bill tells; by model, both are one row.
        assert [(row.deployments, row.counted.cost, row.billed) for row in found.rows] == [((blue, red), 70.0, 70.0)]
        assert [(row.profile, row.counted.cost, row.billed) for row in found.profiles] == [
            ("claude-opus-5-5", 50.0, 60.0),
            ("r2", 20.0, 20.0),
        ]
        assert found.worst == pytest.approx(100 / 6)
        assert "does not tell its tokens apart" in bill_texts.finding(found.profiles[0])

    def test_a_model_without_a_region_is_compared_with_all_of_its_lines(self) -> None:
        lines = [line(model, region, 10.0) for model in ("Claude Opus 5.5", "Claude Sonnet 5.5") for region in "xyz"]
        found = compare("bedrock", counted(usage(OPUS, "", 27.0), usage(SONNET, "region:x", 10.0)), Statement(lines))
        assert [(row.region, row.deployments, row.billed) for row in found.rows] == [
            ("", (OPUS,), 30.0),
            ("x", (SONNET,), 10.0),
        ]
        assert found.percent == pytest.approx(-7.5)
        assert found.left_over == 20.0
        assert [(row.region, row.deployments) for row in found.above(3)] == [("", (OPUS,))]
        rows = list(csv.DictReader(io.StringIO(bill_texts.comparison_csv([found]).decode())))
        assert [(row["region"], row["billed_usd"]) for row in rows] == [
            ("all", "30.000000"),
            ("x", "10.000000"),
            ("y", "10.000000"),
            ("z", "10.000000"),
        ]
        assert f"{OPUS} in all regions: $27.00 counted, $30.00 billed" in json.dumps(
            bill_texts.blocks("Bill", [found], {}, 3)
        )

    def test_a_bill_that_does_not_tell_regions_has_a_row_for_each_model(self) -> None:
        gpt, mini = "openai/gpt-5.5", "openai/gpt-5-mini"
        rows = [usage(gpt, "region:eu", 4.0), usage(gpt, "region:us", 5.0), usage(mini, "", 3.0)]
        one = counted(*rows, provider="openai", names={gpt: "a", mini: "b", "openai/o3": "c"})
        lines = [line("gpt-5.5", project, 5.0) for project in ("proj_1", "proj_2")]
        lines += [line("gpt-5-mini", "proj_1", 3.0), line("o3", "proj_2", 7.0)]  # the last is used past the gateway
        found = compare("openai", one, Statement(lines, placed=False))
        assert [(row.region, row.deployments, row.counted.cost, row.billed) for row in found.rows] == [
            ("", (mini,), 3.0, 3.0),
            ("", (gpt,), 9.0, 10.0),
        ]
        assert (found.left_over, found.placed) == (7.0, False)
        text = json.dumps(bill_texts.blocks("Bill", [found], {}, 3))
        assert "$7.00 on the bill fit no model that the gateway used: o3 input $7.00" in text

    def test_where_a_line_is_of_several_and_one_has_no_region_all_are_one_row(self) -> None:
        dated = "azure/gpt-6.1-sol-2026-09-29"
        names = {GPT: "gpt", dated: "gpt"}
        rows = [usage(GPT, "region:acme", 4.0), usage(GPT, "region:beta", 4.0), usage(dated, "", 6.0)]
        one = counted(*rows, provider="azure", names=names)
        (row,) = compare("azure", one, Statement([line("6.1 sol", place, 7.0) for place in ("acme", "beta")])).rows
        assert (row.region, row.deployments, row.counted.cost, row.billed) == ("", (GPT, dated), 14.0, 14.0)

    def test_a_profile_without_a_region(self) -> None:
        profile = "bedrock/arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/b1"
        one = counted(usage(profile, "", 50.0), names={profile: "claude-opus-5-5"})
        costs = {("b1", "us-west-2"): 40.0, ("b1", "us-east-1"): 10.0, ("r2", "us-west-2"): 5.0}
        (row,) = compare("bedrock", one, Statement([]), Profiles(costs)).profiles
        assert (row.profile, row.region, row.counted.cost, row.billed) == ("b1", "", 50.0, 50.0)


class TestFloor:
    @pytest.mark.parametrize(
        ("ours", "theirs", "expected"),
        [
            (0.0, 0.0, 0.0),
            (0.1, 1.0, 0.0),  # 90 %, and 90 cents
            (9.0, 10.0, -10.0),
            (1000.0, 1000.9, 0.0),
            (40.0, 10.0, 300.0),
            (FLOOR, 0.0, 100.0),
            (0.0, FLOOR, -100.0),
        ],
    )
    def test_small_differences_are_noise(self, ours: float, theirs: float, expected: float) -> None:
        assert percent(ours, theirs) == pytest.approx(expected)


def one_row(cost: float, *lines: Line, **tokens: int) -> Comparison:
    return compare("bedrock", counted(usage(OPUS, "region:us-west-2", cost, **tokens)), Statement(lines))


def opus(kind: Kind, cost: float, quantity: float) -> Line:
    return line("Claude Opus 5.5", "us-west-2", cost, kind, quantity)


class TestFinding:
    """4 $ a million in, 0.4 $ from the cache, 20 $ out: what a bill of millions of tokens has."""

    def test_a_kind_of_token_that_is_counted_wrong(self) -> None:
        tokens = {"prompt_tokens": 30 * MILLION, "cached_tokens": 0, "completion_tokens": 1 * MILLION}
        found = one_row(
            140.0, opus("input", 40.0, 10.0), opus("cached", 8.0, 20.0), opus("output", 20.0, 1.0), **tokens
        )
        (row,) = found.above(3)
        assert row.tokens == {"input": 10 * MILLION, "cached": 20 * MILLION, "cache_write": 0, "output": 1 * MILLION}
        assert bill_texts.finding(row) == (
            "look at input tokens that no cache had: LiteLLM counts 30,000,000, the bill 10,000,000"
        )

    def test_a_price_that_is_wrong(self) -> None:
        tokens = {"prompt_tokens": 10 * MILLION, "completion_tokens": 1 * MILLION}
        found = one_row(54.0, opus("input", 40.0, 10_000.0), opus("output", 20.0, 1_000.0), **tokens)
        assert bill_texts.finding(found.rows[0]).startswith(
            "the tokens agree: look at the price, LiteLLM's is 0.90 times the bill's"
        )

    @pytest.mark.parametrize("unit", [1, 1_000, MILLION])
    def test_the_unit_of_a_bill_is_found(self, unit: int) -> None:
        found = one_row(4.0, opus("input", 4.0, 1.2 * MILLION / unit), prompt_tokens=MILLION)
        assert found.rows[0].tokens["input"] == pytest.approx(1.2 * MILLION)

    def test_a_bill_without_tokens(self) -> None:
        found = one_row(4.0, opus("other", 10.0, 1.0), prompt_tokens=MILLION)
        assert found.rows[0].tokens == {}
        assert "does not tell its tokens apart" in bill_texts.finding(found.rows[0])


class TestTexts:
    def message(self, *compared: Comparison, unread: Mapping[str, str] | None = None) -> str:
        blocks = bill_texts.blocks("The title", compared, unread or {}, 3.0)
        assert all(len(block["text"]["text"]) <= 3000 for block in blocks if "text" in block)
        return json.dumps(blocks, ensure_ascii=False)

    def test_all_is_well(self) -> None:
        text = self.message(one_row(10.0, opus("input", 10.0, 1.0)))
        assert ":large_green_circle: *AWS (Bedrock)*: LiteLLM counted *$10.00*, billed is *$10.00*: *±0.0 %*" in text
        assert "preliminary" not in text

    def test_what_differs_is_named_and_what_is_left_over(self) -> None:
        one = counted(usage(OPUS, "region:us-west-2", 92.0, prompt_tokens=MILLION))
        lines = [opus("input", 100.0, 1.0), line("<Unknown> & `new`", "us-west-2", 3.5)]
        text = self.message(compare("bedrock", one, Statement(lines, discount=12.0, preliminary=True)))
        assert ":red_circle: *AWS (Bedrock)*" in text
        assert "calls its figures preliminary" in text
        assert f"`{OPUS}`" not in text
        assert f"• {OPUS} in us-west-2: $92.00 counted, $100.00 billed, *−8.0 %*: the tokens agree" in text  # noqa: RUF001
        assert "$3.50 on the bill fit no model in a region that the gateway used: &lt;Unknown&gt; &amp; 'new'" in text
        assert "take off another $12.00" in text

    def test_one_that_was_not_read(self) -> None:
        text = self.message(one_row(10.0, opus("input", 10.0, 1.0)), unread={"azure": "Azure refused (403): <no>"})
        assert ":warning: *Azure (OpenAI)* is not compared: Azure refused (403): &lt;no&gt;." in text
        summary = bill_texts.summary("Bill", [one_row(0.0)], {"azure": "x"})
        assert summary == "Bill: AWS (Bedrock) ±0.0 %, Azure (OpenAI) not read"

    def test_those_whose_bill_is_not_read_are_named_with_the_reason(self) -> None:
        names = dict.fromkeys(("mistral/large", "gemini/flash", "hosted_vllm/llama", "openai/gpt-5.5", "cohere/r"), "x")
        others = count([usage("mistral/large", "a", 12.5), usage("cohere/r", "a", 0.25)], [], names)
        lines = json.dumps(bill_texts.blocks("Bill", [], {}, 3, others), ensure_ascii=False)
        for title, reason, counted in (
            ("OpenAI", "set bill.openai in company/environments.py", "$0.00"),
            ("Google (Gemini API)", "set bill.gemini in company/environments.py", "$0.00"),
            ("Mistral", "Mistral shows what was used in its console alone", "$12.50"),
            ("Servers at their own address", "nobody bills their tokens, or somebody who is not known here", "$0.00"),
            ("cohere", "the gateway does not serve it any more", "$0.25"),
        ):
            assert f":white_circle: *{title}* is not compared: {reason}" in lines
            assert f"LiteLLM counted {counted}" in lines.partition(f"*{title}*")[2].partition(":white_circle:")[0]
        rows = list(csv.DictReader(io.StringIO(bill_texts.comparison_csv([], others).decode())))
        assert [(row["provider"], row["what"], row["deployment"], row["counted_usd"]) for row in rows] == [
            ("mistral", "not compared", "mistral/large", "12.500000"),
            ("cohere", "not compared", "cohere/r", "0.250000"),
        ]
        assert bill_texts.summary("Bill", [], {}) == "Bill: none read"

    def test_a_hundred_differences_stay_within_slacks_limits(self) -> None:
        names = {f"bedrock/us.anthropic.claude-{'x' * 150}{n}": f"model {n}" for n in range(100)}
        one = counted(*(usage(name, "region:us-west-2", 10.0) for name in names), names=names)
        assert "and 94 more above 3 %" in self.message(compare("bedrock", one, Statement([])))

    def test_the_table_has_everything(self) -> None:
        one = counted(usage(OPUS, "region:us-west-2", 92.0, prompt_tokens=MILLION, completion_tokens=5))
        lines = [opus("input", 100.0, 1.0), line("=HYPERLINK()", "us-west-2", 3.5)]
        rows = list(
            csv.DictReader(io.StringIO(bill_texts.comparison_csv([compare("bedrock", one, Statement(lines))]).decode()))
        )
        assert [row["what"] for row in rows] == ["model", "fits no deployment"]
        assert (rows[0]["deployment"], rows[0]["counted_usd"], rows[0]["billed_usd"]) == (
            OPUS,
            "92.000000",
            "100.000000",
        )
        assert (rows[0]["difference_usd"], rows[0]["difference_percent"]) == ("-8.000000", "-8.00")
        assert (rows[0]["counted_input_tokens"], rows[0]["billed_input_tokens"]) == ("1000000", "1000000")
        assert (rows[1]["deployment"], rows[1]["billed_usd"]) == ("'=HYPERLINK() input", "3.500000")


CONTEXT: Any = SimpleNamespace(
    function_name="bill",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:ap-northeast-1:123456789012:function:bill",
    aws_request_id="1",
)
AZURE_STATEMENT = Statement([line("6.1 sol", "acme", 10.0)])


class LiteLlm:
    """Its figures by tag lack a part, as where a task was stopped."""

    asked: list[tuple[date, date, str]] = []  # noqa: RUF012 - of the test that reads it

    def __init__(self, url: str, key: str) -> None:
        assert (url, key) == ("https://litellm", "USAGE_KEY")

    def usage(self, first: date, last: date, *, by: str) -> Iterator[Usage]:
        self.asked.append((first, last, by))
        yield usage(OPUS, {"user": "a@example.com", "tag": "region:us-west-2"}[by], {"user": 92.0, "tag": 69.0}[by])
        yield usage(GPT, {"user": "a@example.com", "tag": "region:acme"}[by], 10.0)

    def deployments(self) -> dict[str, Deployment]:
        return {one: Deployment(names, None) for one, names in NAMES.items()}


class Channel:
    def __init__(self, channel: str) -> None:
        self.channel = channel

    def post(self, text: str, blocks: object) -> str:
        POSTED.append((self.channel, text, json.dumps(blocks)))
        return "1.0"

    def upload(self, files: list[tuple[str, bytes, str, str]], thread: str) -> None:
        POSTED.append((thread, files[0][0], files[0][1].decode()))


POSTED: list[tuple[str, str, str]] = []


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A function of an environment with Azure's bill and a channel, whose bills are read from here."""
    settings = {
        "tolerance_percent": 3.0,
        "profile_tag": None,
        "azure": {"tenant": "t", "client": "c", "subscription": "s"},
        "google": None,
        "gemini": None,
        "openai": None,
        "anthropic": None,
    }
    channel = {"channel": "C0123456789", "weekly": True, "monthly": True, "hour": 9, "timezone": "UTC", "top": 10}
    channel |= {"jump_factor": 3, "jump_minimum": 20, "seat_percent": 20, "plans": []}
    monkeypatch.setenv("BILL", json.dumps(settings))
    monkeypatch.setenv("REPORT", json.dumps(channel))
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "usage")
    for name, value in {"ENVIRONMENT": "dev", "LITELLM_URL": "https://litellm", "GATEWAY_URL": "https://llm"}.items():
        monkeypatch.setenv(name, value)
    for reader in (environment.bill, environment.report, environment.places):
        reader.cache_clear()
    monkeypatch.setattr(bill, "secret", lambda name: name)
    monkeypatch.setattr(bill, "LiteLlm", LiteLlm)
    monkeypatch.setattr(bill, "Channel", Channel)
    statement = Statement([line("Claude Opus 5.5", "us-west-2", 100.0)])
    monkeypatch.setattr(aws_bill, "read", lambda period, account: statement)
    monkeypatch.setattr(azure_bill, "read", lambda period, settings, secret: AZURE_STATEMENT)
    bill._posted.clear()
    POSTED.clear()
    LiteLlm.asked.clear()
    yield monkeypatch
    for reader in (environment.bill, environment.report, environment.places):
        reader.cache_clear()


def metrics(printed: str) -> dict[str, tuple[float, list[list[str]], str]]:
    found = {}
    for text in printed.splitlines():
        record = json.loads(text)
        if "_aws" in record:
            (metric,) = record["_aws"]["CloudWatchMetrics"]
            found[record["Provider"]] = (record["BillDifferencePercent"][0], metric["Dimensions"], metric["Namespace"])
    return found


class TestHandler:
    def test_a_month(
        self,
        deployed: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        result = bill.handler({"time": "2026-11-05T03:00:00Z"}, CONTEXT)
        assert result == {"month": "2026-10", "percent": {"bedrock": 8.0, "azure": 0.0}}
        assert LiteLlm.asked == [(date(2026, 10, 1), date(2026, 10, 31), by) for by in ("user", "tag")]
        logged = [vars(record) for record in caplog.records if record.getMessage() == "counted"]
        assert {one["provider"]: (one["counted"], one["untagged_percent"]) for one in logged} == {
            "bedrock": (92.0, 25.0),
            "azure": (10.0, 0.0),
            "vertex_ai": (0.0, 0.0),
        }
        dimensions = [["Environment", "Provider"]]
        assert metrics(capsys.readouterr().out) == {
            "bedrock": (8.0, dimensions, "LiteLlmGateway"),
            "azure": (0.0, dimensions, "LiteLlmGateway"),
        }
        (channel, text, blocks), (thread, name, table) = POSTED
        assert (channel, thread, name) == ("C0123456789", "1.0", "bill-dev-2026-10.csv")
        assert text.startswith("LLM gateway dev: LiteLLM's costs of October 2026 and the bill: AWS (Bedrock)")
        assert OPUS in blocks
        assert GPT not in blocks  # it agrees
        assert "*Google (Vertex AI)* is not compared: set bill.google in company/environments.py" in blocks
        assert table.count("\n") == 3

    @pytest.mark.parametrize(
        ("error", "sentence"),
        [
            (RefusedError("Azure's Cost Management refused (403): no"), "refused (403): no"),
            (UnavailableError("Azure's Cost Management did not answer (503)"), "did not answer (503)"),
            (UnavailableError("cannot read the parameter /p (X): store it"), "cannot read the parameter /p (X)"),
            (KeyError("properties"), "the answer is not what lambda/usage reads (KeyError)"),
            (ValueError("no number"), "the answer is not what lambda/usage reads (ValueError)"),
        ],
    )
    def test_one_that_cannot_be_read_hides_no_other_and_fails_the_run(
        self, deployed: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, sentence: str
    ) -> None:
        def refuse(*_: object) -> Statement:
            raise error

        deployed.setattr(azure_bill, "read", refuse)
        for _ in range(2):  # Lambda's second attempt posts nothing
            with pytest.raises(RefusedError) as raised:
                bill.handler({"time": "2026-11-05T03:00:00Z"}, CONTEXT)
            assert str(raised.value).startswith("Azure (OpenAI): ")
            assert sentence in str(raised.value)
            assert metrics(capsys.readouterr().out).keys() == {"bedrock"}
        (_, _, blocks), _ = POSTED
        assert "is not compared" in blocks
        assert sentence in blocks
        assert OPUS in blocks

    def test_without_a_channel_only_log_and_metric_tell(
        self,
        deployed: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        deployed.setenv("REPORT", "")
        environment.report.cache_clear()
        bill.handler({"time": "2026-11-05T03:00:00Z"}, CONTEXT)
        printed = capsys.readouterr().out
        assert POSTED == []
        assert metrics(printed)["bedrock"][0] == 8.0
        (difference,) = (vars(record) for record in caplog.records if record.getMessage() == "differs")
        assert (difference["deployments"], difference["counted"], difference["billed"]) == ((OPUS,), 92.0, 100.0)

    def test_the_tag_of_profiles_is_read_where_there_are_some(self, deployed: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def profiles(period: object, account: str, tag: str) -> Profiles:
            asked.append(tag)
            return Profiles({("blue", "us-west-2"): 5.0})

        deployed.setattr(aws_bill, "read_profiles", profiles)
        settings = environment.bill()
        assert settings
        settings = replace(settings, profile_tag="team", azure=None)
        deployed.setattr(bill, "bill", lambda: settings)
        bill.handler({}, CONTEXT)
        assert asked == []
        arn = "bedrock/arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/blue"
        deployed.setattr(LiteLlm, "deployments", lambda self: {OPUS: Deployment("a", None), arn: Deployment("b", None)})
        bill.handler({}, CONTEXT)
        assert asked == ["team"]

    def test_the_bills_of_openai_and_anthropic(
        self, deployed: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each with its settings and its key; of AWS and Azure, which LiteLLM has no deployment of, nobody is asked."""
        gpt, claude = "openai/gpt-5.5", "anthropic/claude-opus-5-5"
        asked = []

        def read(model: str, cost: float) -> Callable[..., Statement]:
            def reader(period: object, settings: object, key: str) -> Statement:
                asked.append((settings, key))
                return Statement([line(model, "place", cost)], placed=False)

            return reader

        deployed.setattr(openai_bill, "read", read("gpt-5.5", 10.0))
        deployed.setattr(anthropic_bill, "read", read("claude-opus-5-5", 20.0))
        deployed.setattr(aws_bill, "read", lambda *_: pytest.fail("nothing is of AWS"))
        deployed.setattr(azure_bill, "read", lambda *_: pytest.fail("nothing is of Azure"))
        settings = environment.Bill(
            tolerance_percent=3,
            profile_tag=None,
            azure=environment.AzureBill(tenant="t", client="c", subscription="s"),
            google=None,
            gemini=None,
            openai=environment.OpenAiBill(projects=("proj_1",)),
            anthropic=environment.AnthropicBill(workspaces=()),
        )
        deployed.setattr(bill, "bill", lambda: settings)
        deployed.setattr(
            LiteLlm,
            "deployments",
            lambda self: {
                gpt: Deployment("gpt", None),
                claude: Deployment("claude", None),
                "openai/llama": Deployment("llama", None, frozenset({"vllm.example.com"})),
            },
        )
        deployed.setattr(
            LiteLlm, "usage", lambda self, first, last, by: iter([usage(gpt, "a", 10.0), usage(claude, "a", 30.0)])
        )
        result = bill.handler({"time": "2026-11-05T03:00:00Z"}, CONTEXT)
        assert result["percent"] == {"openai": 0.0, "anthropic": 50.0}
        assert asked == [(settings.openai, "OPENAI_ADMIN_KEY"), (settings.anthropic, "ANTHROPIC_ADMIN_KEY")]
        assert {name: value for name, (value, *_) in metrics(capsys.readouterr().out).items()} == result["percent"]
        (_, _, blocks), _ = POSTED
        assert "*Servers at their own address* is not compared: nobody bills their tokens" in blocks
        assert "Bedrock" not in blocks
        assert "Azure" not in blocks

    def test_wrong_events_and_settings(self, deployed: pytest.MonkeyPatch) -> None:
        with pytest.raises(ValueError, match="must be as in 2026-12-05"):
            bill.handler({"time": "yesterday"}, CONTEXT)
        deployed.setenv("BILL", "")
        environment.bill.cache_clear()
        with pytest.raises(ValueError, match="The environment has no bill"):
            bill.handler({}, CONTEXT)
