"""Information, traffic, networks, cells, reliability, optics."""

from __future__ import annotations

import math

from telegym.envs.questions.problems.template import LIGHT, Draw, Problem, Template

__all__ = ["TEMPLATES", "erlang_b", "erlang_c"]


def erlang_b(traffic: float, servers: int) -> float:
    """Return the probability that a call is lost, by the recursion of Erlang's first formula (1917).

    Args:
        traffic: Offered traffic in erlang.
        servers: Number of circuits.
    """
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = traffic * blocked / (count + traffic * blocked)
    return blocked


def erlang_c(traffic: float, servers: int) -> float:
    """Return the probability that a call has to wait; the traffic is less than the number of servers."""
    lost = erlang_b(traffic, servers)
    return servers * lost / (servers - traffic * (1 - lost))


def _shannon(draw: Draw) -> Problem:
    mhz, snr = draw.number(0.2, 100, 0.2), draw.number(-5, 30, 0.5)
    return Problem(
        {"bandwidth_mhz": mhz, "snr_db": snr},
        mhz * math.log2(1 + 10 ** (snr / 10)),
        "Mbit/s",
        f"{mhz}*log2(1+10^({snr}/10))",
    )


def _required_snr(draw: Draw) -> Problem:
    mhz = draw.number(1, 100, 0.5)
    rate = round(mhz * draw.number(1.5, 7, 0.1), 2)
    return Problem(
        {"bandwidth_mhz": mhz, "rate_mbps": rate},
        10 * math.log10(2 ** (rate / mhz) - 1),
        "dB",
        f"10*log10(2^({rate}/{mhz})-1)",
    )


def _nyquist(draw: Draw) -> Problem:
    khz, levels = draw.number(1, 500, 0.5), draw.pick(2, 4, 8, 16, 64, 256)
    return Problem(
        {"bandwidth_khz": khz, "levels": levels},
        2 * khz * math.log2(levels),
        "kbit/s",
        f"2*{khz}*log2({levels})",
    )


def _binary_entropy(draw: Draw) -> Problem:
    p = draw.number(0.02, 0.48, 0.01)
    return Problem(
        {"p": p},
        -p * math.log2(p) - (1 - p) * math.log2(1 - p),
        "bit",
        f"-{p}*log2({p})-(1-{p})*log2(1-{p})",
    )


def _symmetric_channel(draw: Draw) -> Problem:
    p, rate = draw.number(0.01, 0.3, 0.01), draw.whole(10, 900)
    entropy = -p * math.log2(p) - (1 - p) * math.log2(1 - p)
    return Problem(
        {"p": p, "rate_kbps": rate},
        rate * (1 - entropy),
        "kbit/s",
        f"{rate}*(1+{p}*log2({p})+(1-{p})*log2(1-{p}))",
    )


def _bpsk(draw: Draw) -> Problem:
    """Bit error rate of BPSK with white Gaussian noise, Q(√(2 Eb/N0)) (Proakis, Digital Communications)."""
    ratio = draw.number(0, 10, 0.1)
    return Problem(
        {"ratio_db": ratio}, 0.5 * math.erfc(math.sqrt(10 ** (ratio / 10))), "", f"0.5*erfc(sqrt(10^({ratio}/10)))"
    )


def _quantisation(draw: Draw) -> Problem:
    """6.02 dB a bit and 1.76 dB for a sine at full scale (Bennett, Bell Syst. Tech. J. 27, 1948)."""
    bits, backoff = draw.whole(6, 24), draw.number(0, 20, 0.5)
    return Problem(
        {"bits": bits, "backoff_db": backoff},
        20 * bits * math.log10(2) + 10 * math.log10(1.5) - backoff,
        "dB",
        f"20*{bits}*log10(2)+10*log10(1.5)-{backoff}",
    )


def _processing_gain(draw: Draw) -> Problem:
    chips, rate = draw.number(1, 20, 0.25), draw.number(4, 384, 0.2)
    return Problem(
        {"chip_mcps": chips, "rate_kbps": rate},
        10 * math.log10(chips * 1e3 / rate),
        "dB",
        f"10*log10({chips}e6/{rate}e3)",
    )


def _packet_error(draw: Draw) -> Problem:
    octets, exponent = draw.whole(40, 1500), draw.whole(4, 6)
    mantissa = draw.number(1, 9, 0.5)
    rate = mantissa * 10.0**-exponent
    return Problem(
        {"bytes": octets, "ber": f"{mantissa:g}e-{exponent}"},
        -math.expm1(8 * octets * math.log1p(-rate)),
        "",
        f"1-(1-{mantissa}e-{exponent})^(8*{octets})",
    )


def _erlang_b(draw: Draw) -> Problem:
    servers = draw.whole(3, 12)
    traffic = draw.number(round(0.3 * servers, 1), round(0.9 * servers, 1), 0.1)
    terms = "+".join(f"{traffic}^{count}/factorial({count})" for count in range(servers + 1))
    expression = f"{traffic}^{servers}/factorial({servers})/({terms})"
    return Problem({"traffic_erl": traffic, "servers": servers}, erlang_b(traffic, servers), "", expression)


def _erlang_c(draw: Draw) -> Problem:
    servers = draw.whole(2, 10)
    traffic = draw.number(round(0.4 * servers, 1), round(0.9 * servers, 1), 0.1)
    head = f"{traffic}^{servers}/factorial({servers})*{servers}/({servers}-{traffic})"
    terms = "+".join(f"{traffic}^{count}/factorial({count})" for count in range(servers))
    return Problem(
        {"traffic_erl": traffic, "servers": servers}, erlang_c(traffic, servers), "", f"{head}/({terms}+{head})"
    )


def _offered_traffic(draw: Draw) -> Problem:
    users, calls, seconds = draw.whole(100, 5000), draw.number(0.5, 4, 0.1), draw.whole(60, 240)
    return Problem(
        {"users": users, "calls": calls, "hold_s": seconds},
        users * calls * seconds / 3600,
        "Erlang",
        f"{users}*{calls}*{seconds}/3600",
    )


def _carried_traffic(draw: Draw) -> Problem:
    offered, blocking = draw.number(5, 80, 0.5), draw.number(0.5, 8, 0.1)
    return Problem(
        {"traffic_erl": offered, "blocking_pct": blocking},
        offered * (1 - blocking / 100),
        "Erlang",
        f"{offered}*(1-{blocking}/100)",
    )


def _single_queue(draw: Draw) -> Problem:
    """Mean time in an M/M/1 queue, 1/(µ - λ) (Kleinrock, Queueing Systems)."""
    octets, rate = draw.whole(200, 1500), draw.number(1, 100, 1)
    capacity = rate * 1e6 / (8 * octets)
    arrivals = round(capacity * draw.number(0.3, 0.9, 0.05))
    return Problem(
        {"bytes": octets, "rate_mbps": rate, "arrivals": arrivals},
        1e3 / (capacity - arrivals),
        "ms",
        f"1000/({rate}e6/(8*{octets})-{arrivals})",
    )


def _little(draw: Draw) -> Problem:
    arrivals, milliseconds = draw.whole(50, 5000), draw.number(2, 200, 0.5)
    return Problem(
        {"arrivals": arrivals, "delay_ms": milliseconds},
        arrivals * milliseconds / 1e3,
        "",
        f"{arrivals}*{milliseconds}/1000",
    )


def _bandwidth_delay(draw: Draw) -> Problem:
    rate, milliseconds = draw.number(10, 1000, 10), draw.whole(5, 600)
    return Problem(
        {"rate_mbps": rate, "rtt_ms": milliseconds},
        rate * 1e6 * milliseconds / 1e3 / 8 / 1e3,
        "kB",
        f"{rate}e6*{milliseconds}/1000/8/1000",
    )


def _stop_and_wait(draw: Draw) -> Problem:
    bits, rate, km = draw.whole(1000, 12000), draw.number(1, 100, 1), draw.whole(10, 3000)
    sending, travelling = bits / (rate * 1e6), km * 1e3 / 2e8
    return Problem(
        {"bits": bits, "rate_mbps": rate, "distance_km": km},
        100 * sending / (sending + 2 * travelling),
        "%",
        f"100*({bits}/{rate}e6)/({bits}/{rate}e6+2*{km}e3/2e8)",
    )


def _slotted_aloha(draw: Draw) -> Problem:
    load = draw.number(0.1, 2, 0.05)
    return Problem({"load": load}, load * math.exp(-load), "", f"{load}*exp(-{load})")


def _transfer_time(draw: Draw) -> Problem:
    megabytes, rate, percent = draw.whole(5, 2000), draw.number(2, 500, 1), draw.whole(3, 20)
    return Problem(
        {"size_mb": megabytes, "rate_mbps": rate, "overhead_pct": percent},
        megabytes * 8 / (rate * (1 - percent / 100)),
        "s",
        f"{megabytes}*8/({rate}*(1-{percent}/100))",
    )


def _satellite_delay(draw: Draw) -> Problem:
    km = draw.whole(400, 35_786)
    return Problem({"altitude_km": km}, 4 * km * 1e3 / LIGHT * 1e3, "ms", f"4*{km}e3/c*1000")


def _timing_advance(draw: Draw) -> Problem:
    """Distance of a timing advance: N·16·Ts of round trip, Ts = 1/(15000·2048) s (3GPP TS 36.211, 36.213)."""
    steps = draw.whole(5, 1282)
    return Problem({"steps": steps}, steps * 16 / (15_000 * 2048) * LIGHT / 2, "m", f"{steps}*16/(15000*2048)*c/2")


def _timing_advance_nr(draw: Draw) -> Problem:
    """As above for NR: N·16·64·Tc/2^µ, Tc = 1/(480000·4096) s (3GPP TS 38.211, 38.213)."""
    steps, khz = draw.whole(5, 1500), draw.pick(15, 30, 60, 120)
    return Problem(
        {"steps": steps, "subcarrier_khz": khz},
        steps * 16 * 64 / (khz / 15) / (480_000 * 4096) * LIGHT / 2,
        "m",
        f"{steps}*16*64/({khz}/15)/(480000*4096)*c/2",
    )


def _prb_rate(draw: Draw) -> Problem:
    blocks, bits, layers = draw.whole(6, 100), draw.pick(2, 4, 6, 8), draw.pick(1, 2, 4)
    code, overhead = draw.number(0.3, 0.9, 0.05), draw.whole(10, 30)
    return Problem(
        {"blocks": blocks, "bits": bits, "layers": layers, "code_rate": code, "overhead_pct": overhead},
        blocks * 12 * 14 * bits * layers * code * (1 - overhead / 100) / 1e3,
        "Mbit/s",
        f"{blocks}*12*14*{bits}*{layers}*{code}*(1-{overhead}/100)/1000",
    )


def _nr_peak_rate(draw: Draw) -> Problem:
    """Data rate of one NR carrier (3GPP TS 38.306, section 4.1.2)."""
    khz, blocks = draw.pick((15, 106), (15, 270), (30, 51), (30, 106), (30, 273), (120, 66), (120, 132))
    layers, bits, overhead = draw.pick(1, 2, 4, 8), draw.pick(4, 6, 8), draw.pick(0.14, 0.18)
    symbols = 14 * khz / 15 * 1000
    return Problem(
        {"blocks": blocks, "subcarrier_khz": khz, "layers": layers, "bits": bits, "overhead": overhead},
        layers * bits * 948 / 1024 * blocks * 12 * symbols * (1 - overhead) / 1e6,
        "Mbit/s",
        f"{layers}*{bits}*948/1024*{blocks}*12*14*{khz}/15*1000*(1-{overhead})/1e6",
    )


def _rsrp(draw: Draw) -> Problem:
    power, blocks = draw.number(40, 49, 0.5), draw.pick(25, 50, 75, 100, 106, 273)
    gain, loss = draw.number(14, 18, 0.5), draw.number(90, 135, 0.5)
    return Problem(
        {"power_dbm": power, "blocks": blocks, "gain_dbi": gain, "loss_db": loss},
        power - 10 * math.log10(12 * blocks) + gain - loss,
        "dBm",
        f"{power}-10*log10(12*{blocks})+{gain}-{loss}",
    )


def _reuse_ratio(draw: Draw) -> Problem:
    cluster, km = draw.pick(3, 4, 7, 9, 12, 13, 19), draw.number(0.3, 10, 0.1)
    return Problem({"cluster": cluster, "radius_km": km}, math.sqrt(3 * cluster) * km, "km", f"sqrt(3*{cluster})*{km}")


def _co_channel(draw: Draw) -> Problem:
    """Worst case of six interferers at the reuse distance (Rappaport, Wireless Communications, section 3.5)."""
    cluster, exponent = draw.pick(3, 4, 7, 9, 12), draw.number(2.6, 4.5, 0.1)
    return Problem(
        {"cluster": cluster, "exponent": exponent},
        10 * math.log10(math.sqrt(3 * cluster) ** exponent / 6),
        "dB",
        f"10*log10(sqrt(3*{cluster})^{exponent}/6)",
    )


def _hexagon_area(draw: Draw) -> Problem:
    km, sites = draw.number(0.3, 8, 0.1), draw.whole(3, 200)
    return Problem(
        {"radius_km": km, "sites": sites},
        sites * 1.5 * math.sqrt(3) * km**2,
        "km^2",
        f"{sites}*1.5*sqrt(3)*{km}^2",
    )


def _downtime(draw: Draw) -> Problem:
    percent = draw.pick(99.0, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999)
    days = draw.whole(7, 366)
    return Problem(
        {"availability_pct": percent, "days": days},
        (100 - percent) / 100 * days * 24 * 60,
        "min",
        f"(100-{percent})/100*{days}*24*60",
    )


def _series(draw: Draw) -> Problem:
    first, second, third = (draw.number(99, 99.99, 0.01) for _ in range(3))
    return Problem(
        {"first_pct": first, "second_pct": second, "third_pct": third},
        (1 - first * second * third / 1e6) * 8760,
        "h",
        f"(1-{first}*{second}*{third}/1e6)*8760",
    )


def _parallel(draw: Draw) -> Problem:
    percent, count = draw.number(90, 99, 0.1), draw.whole(2, 3)
    return Problem(
        {"availability_pct": percent, "count": count},
        (1 - percent / 100) ** count * 8760 * 60,
        "min",
        f"(1-{percent}/100)^{count}*8760*60",
    )


def _repair(draw: Draw) -> Problem:
    between, hours = draw.whole(500, 60_000), draw.number(1, 24, 0.5)
    return Problem(
        {"mtbf_h": between, "mttr_h": hours},
        hours / (between + hours) * 100,
        "%",
        f"{hours}/({between}+{hours})*100",
    )


def _battery(draw: Draw) -> Problem:
    capacity, watts = draw.pick(100, 150, 200, 300, 500), draw.whole(400, 4000)
    depth = draw.whole(60, 90)
    return Problem(
        {"capacity_ah": capacity, "load_w": watts, "depth_pct": depth},
        48 * capacity * depth / 100 / watts,
        "h",
        f"48*{capacity}*{depth}/100/{watts}",
    )


def _optical_reach(draw: Draw) -> Problem:
    power, sensitivity = draw.number(-3, 5, 0.5), -draw.number(18, 32, 0.5)
    fibre, fixed, margin = draw.number(0.2, 0.4, 0.01), draw.number(1, 4, 0.5), draw.number(2, 5, 0.5)
    return Problem(
        {"power_dbm": power, "sensitivity_dbm": sensitivity, "fibre_db": fibre, "fixed_db": fixed, "margin_db": margin},
        (power - sensitivity - fixed - margin) / fibre,
        "km",
        f"({power}-({sensitivity})-{fixed}-{margin})/{fibre}",
    )


def _fibre_delay(draw: Draw) -> Problem:
    km, index = draw.number(1, 500, 0.5), draw.number(1.44, 1.5, 0.001)
    return Problem({"length_km": km, "index": index}, km * 1e3 * index / LIGHT * 1e6, "us", f"{km}e3*{index}/c*1e6")


def _dispersion(draw: Draw) -> Problem:
    coefficient, km, width = draw.number(2, 20, 0.5), draw.whole(10, 200), draw.number(0.05, 1, 0.05)
    return Problem(
        {"coefficient": coefficient, "length_km": km, "width_nm": width},
        coefficient * km * width,
        "ps",
        f"{coefficient}*{km}*{width}",
    )


TEMPLATES = (
    Template("shannon", "information", "basic", _shannon),
    Template("required_snr", "information", "advanced", _required_snr),
    Template("nyquist", "information", "basic", _nyquist),
    Template("binary_entropy", "information", "basic", _binary_entropy),
    Template("symmetric_channel", "information", "advanced", _symmetric_channel),
    Template("bpsk", "information", "advanced", _bpsk),
    Template("quantisation", "information", "basic", _quantisation),
    Template("processing_gain", "information", "basic", _processing_gain),
    Template("packet_error", "information", "advanced", _packet_error),
    Template("erlang_b", "traffic", "advanced", _erlang_b),
    Template("erlang_c", "traffic", "advanced", _erlang_c),
    Template("offered_traffic", "traffic", "basic", _offered_traffic),
    Template("carried_traffic", "traffic", "basic", _carried_traffic),
    Template("single_queue", "traffic", "advanced", _single_queue),
    Template("little", "traffic", "basic", _little),
    Template("bandwidth_delay", "networking", "basic", _bandwidth_delay),
    Template("stop_and_wait", "networking", "advanced", _stop_and_wait),
    Template("slotted_aloha", "networking", "basic", _slotted_aloha),
    Template("transfer_time", "networking", "basic", _transfer_time),
    Template("satellite_delay", "networking", "basic", _satellite_delay),
    Template("timing_advance", "cellular", "basic", _timing_advance),
    Template("timing_advance_nr", "cellular", "advanced", _timing_advance_nr),
    Template("prb_rate", "cellular", "basic", _prb_rate),
    Template("nr_peak_rate", "cellular", "advanced", _nr_peak_rate),
    Template("rsrp", "cellular", "advanced", _rsrp),
    Template("reuse_ratio", "cellular", "basic", _reuse_ratio),
    Template("co_channel", "cellular", "advanced", _co_channel),
    Template("hexagon_area", "cellular", "basic", _hexagon_area),
    Template("downtime", "reliability", "basic", _downtime),
    Template("series", "reliability", "advanced", _series),
    Template("parallel", "reliability", "advanced", _parallel),
    Template("repair", "reliability", "basic", _repair),
    Template("battery", "reliability", "basic", _battery),
    Template("optical_reach", "optics", "advanced", _optical_reach),
    Template("fibre_delay", "optics", "basic", _fibre_delay),
    Template("dispersion", "optics", "basic", _dispersion),
)
