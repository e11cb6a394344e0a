"""Storage cabinets that are good but for what they do to bytes, one manner each."""

from __future__ import annotations

from hil.certify.broken.device import Broken
from hil.server import WireManner

__all__ = ["ON_THE_WIRE"]

OWN = "storage-own"

ON_THE_WIRE = (
    Broken(
        "answers-late", OWN,
        "takes 0.7 s for every answer",
        "每次应答延迟0.7秒",
        "protocol/answer-time",
        "every answer comes, later than allowed",
        wire=WireManner(late_ms=700.0),
    ),
    Broken(
        "one-client", OWN,
        "bears one connection at a time",
        "仅支持一个并发连接",
        "protocol/connections",
        "the second connection is closed at once",
        wire=WireManner(max_clients=1),
    ),
    Broken(
        "deaf-at-first", OWN,
        "loses the first request of every connection",
        "每次建链后首个请求无应答",
        "protocol/connections",
        "a fresh connection's first request is not answered, the next one is",
        wire=WireManner(swallow_first=True),
    ),
    Broken(
        "one-at-a-time", OWN,
        "loses what arrives together with another request",
        "粘包时丢弃第二个请求",
        "protocol/pipelining",
        "of requests in one segment only the first is answered",
        wire=WireManner(drop_second=True),
    ),
    Broken(
        "needs-a-pause", OWN,
        "loses a request that follows the last answer within 0.1 s",
        "两次请求间隔小于0.1秒时无应答",
        "protocol/pace",
        "requests right after an answer are lost, those after a pause are not",
        wire=WireManner(min_gap_ms=100.0),
    ),
    Broken(
        "loses-requests", OWN,
        "does not answer one request of twenty",
        "约5%的请求无应答",
        "protocol/availability",
        "a share of equal requests stays unanswered",
        wire=WireManner(no_answer_share=0.05),
    ),
    Broken(
        "refuses-at-random", OWN,
        "answers one request of twenty with exception 4",
        "约5%的请求返回异常码04",
        "protocol/availability",
        "a share of equal requests is refused",
        wire=WireManner(exception=4, exception_share=0.05),
    ),
    Broken(
        "hangs-up", OWN,
        "ends the connection at one request of twenty",
        "约5%的请求导致断链",
        "protocol/availability",
        "a share of equal requests ends the connection",
        wire=WireManner(disconnect_share=0.05),
    ),
    Broken(
        "bad-checksums", OWN,
        "sends one answer of twenty with a wrong checksum",
        "约5%的应答CRC校验错误",
        "protocol/availability",
        "a share of equal answers has a wrong checksum",
        wire=WireManner(bad_crc_share=0.05),
        transport="rtu",
    ),
)  # fmt: skip
