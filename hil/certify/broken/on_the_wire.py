"""Storage cabinets that are good but for what they do to bytes, one fault each."""

from __future__ import annotations

from hil.certify.broken import fields, weak
from hil.certify.broken.specimen import Specimen
from hil.server import WireManner

__all__ = ["ON_THE_WIRE"]

OWN = "storage-own"

ON_THE_WIRE = (
    Specimen(
        "answers-late", OWN,
        "takes 0.35 s for every answer",
        "每次应答延迟0.35秒",
        "protocol.answer_time",
        "every answer comes, later than allowed",
        wire=WireManner(late_ms=350.0),
    ),
    Specimen(
        "one-client", OWN,
        "bears one connection at a time",
        "仅支持一个并发连接",
        "protocol.connections",
        "the second connection is closed at once; who opens one and stays idle has the only place",
        along=("robustness.case_13",),
        wire=WireManner(max_clients=1),
    ),
    Specimen(
        "deaf-at-first", OWN,
        "loses the first request of every connection",
        "每次建链后首个请求无应答",
        "protocol.first_requests",
        "a fresh connection's first request is not answered, the next one is",
        wire=WireManner(swallow_first=True),
    ),
    Specimen(
        "one-at-a-time", OWN,
        "loses what arrives together with another request",
        "粘包时丢弃第二个请求",
        "protocol.pipelined",
        "of requests in one segment only the first is answered",
        wire=WireManner(drop_second=True),
    ),
    Specimen(
        "needs-a-pause", OWN,
        "loses a request that follows the last answer within 0.1 s",
        "两次请求间隔小于0.1秒时无应答",
        "protocol.unanswered",
        "requests right after an answer are lost, those after a pause are not; what comes in "
        "one segment has no pause",
        along=("protocol.pipelined",),
        wire=WireManner(min_gap_ms=100.0),
    ),
    Specimen(
        "loses-requests", OWN,
        "does not answer one request of twenty",
        "约5%的请求无应答",
        "protocol.unanswered",
        "a share of equal requests stays unanswered",
        wire=WireManner(no_answer_share=0.05),
    ),
    Specimen(
        "refuses-at-random", OWN,
        "answers one request of twenty with exception 4",
        "约5%的请求返回异常码04",
        "protocol.wrongly_refused",
        "a share of equal requests is refused",
        wire=WireManner(exception=4, exception_share=0.05),
    ),
    Specimen(
        "hangs-up", OWN,
        "ends the connection at one request of twenty",
        "约5%的请求导致断链",
        "protocol.hung_up",
        "a share of equal requests ends the connection",
        wire=WireManner(disconnect_share=0.05),
    ),
    Specimen(
        "bad-checksums", OWN,
        "sends one answer of twenty with a wrong checksum",
        "约5%的应答CRC校验错误",
        "protocol.garbled",
        "a share of equal answers has a wrong checksum",
        wire=WireManner(bad_crc_share=0.05),
        transport="rtu",
    ),
    Specimen(
        "another-maker", OWN,
        "says by function 43/14 that it is another maker's",
        "功能码43/14返回的厂商与点表不符",
        "protocol.identity",
        "vendor and product are not those of the table",
        serve=fields.of_other_maker,
    ),
    Specimen(
        "answers-for-others", OWN,
        "answers for unit numbers that are not there, with exception 11",
        "对不存在的站号返回异常码0B",
        "protocol.other_unit",
        "the table says that other units are met with silence",
        serve=fields.answering_for_others,
    ),
    Specimen(
        "takes-nothing", OWN,
        "answers a read of no registers as if it were right",
        "读取数量为0时返回正常应答",
        "robustness.case_08",
        "of the twenty inputs a quantity of 0 gets a normal answer",
        weakness=weak.takes_nothing,
    ),
    Specimen(
        "runs-what-hides", OWN,
        "takes what lies behind a read in the same frame for a request of its own",
        "执行读请求报文中夹带的写请求",
        "robustness.case_03",
        "the hidden write is done; a request that is swallowed by a wrong length is answered",
        along=("robustness.case_02",),
        weakness=weak.runs_what_hides,
    ),
    Specimen(
        "dies-of-no-coils", OWN,
        "falls silent for good at a read of no coils",
        "读取0个线圈后永久无应答",
        "robustness.case_08",
        "nothing is answered after a quantity of 0",
        weakness=weak.dies_of_no_coils,
    ),
)  # fmt: skip
