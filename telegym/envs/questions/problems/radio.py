"""Radio: propagation, link budgets, noise, fading, antennas."""

from __future__ import annotations

import math

from telegym.envs.questions.problems.template import BOLTZMANN, LIGHT, Draw, Problem, Template

__all__ = ["TEMPLATES"]


def _free_space_loss_db(distance_m: float, frequency_hz: float) -> float:
    """Return the loss between isotropic antennas in free space, 20 log10(4πdf/c) (ITU-R P.525)."""
    return 20 * math.log10(4 * math.pi * distance_m * frequency_hz / LIGHT)


def _free_space_loss(draw: Draw) -> Problem:
    km, mhz = draw.number(0.2, 40, 0.1), draw.number(400, 6000, 10)
    return Problem(
        {"distance_km": km, "frequency_mhz": mhz},
        _free_space_loss_db(km * 1e3, mhz * 1e6),
        "dB",
        f"20*log10(4*pi*{km}e3*{mhz}e6/c)",
    )


def _friis(draw: Draw) -> Problem:
    power, gain, other = draw.number(20, 46, 1), draw.number(5, 25, 0.5), draw.number(0, 15, 0.5)
    km, ghz = draw.number(0.5, 30, 0.5), draw.number(0.8, 28, 0.1)
    received = power + gain + other - _free_space_loss_db(km * 1e3, ghz * 1e9)
    return Problem(
        {"power_dbm": power, "gain_dbi": gain, "other_gain_dbi": other, "distance_km": km, "frequency_ghz": ghz},
        received,
        "dBm",
        f"{power}+{gain}+{other}-20*log10(4*pi*{km}e3*{ghz}e9/c)",
    )


def _free_space_range(draw: Draw) -> Problem:
    loss, mhz = draw.number(100, 140, 0.5), draw.number(400, 6000, 10)
    return Problem(
        {"loss_db": loss, "frequency_mhz": mhz},
        10 ** (loss / 20) * LIGHT / (4 * math.pi * mhz * 1e6) / 1e3,
        "km",
        f"10^({loss}/20)*c/(4*pi*{mhz}e6)/1000",
    )


def _link_margin(draw: Draw) -> Problem:
    power, gain, feeder = draw.number(30, 46, 0.5), draw.number(10, 20, 0.5), draw.number(1, 4, 0.1)
    receiver, sensitivity = draw.number(0, 6, 0.5), -draw.number(95, 118, 0.5)
    loss = draw.number(120, 140, 0.5)
    return Problem(
        {
            "power_dbm": power,
            "gain_dbi": gain,
            "feeder_db": feeder,
            "other_gain_dbi": receiver,
            "loss_db": loss,
            "sensitivity_dbm": sensitivity,
        },
        power + gain - feeder + receiver - loss - sensitivity,
        "dB",
        f"{power}+{gain}-{feeder}+{receiver}-{loss}-({sensitivity})",
    )


def _eirp(draw: Draw) -> Problem:
    watts, gain, feeder = draw.number(1, 80, 1), draw.number(2, 24, 0.5), draw.number(0.5, 4, 0.1)
    return Problem(
        {"power_w": watts, "gain_dbi": gain, "feeder_db": feeder},
        10 * math.log10(watts * 1000) + gain - feeder,
        "dBm",
        f"10*log10({watts}*1000)+{gain}-{feeder}",
    )


def _dbm_to_watt(draw: Draw) -> Problem:
    level = draw.number(-30, 49, 0.5)
    return Problem({"level_dbm": level}, 10 ** ((level - 30) / 10) * 1000, "mW", f"10^({level}/10)")


def _power_sum(draw: Draw) -> Problem:
    first = -draw.number(60, 100, 0.5)
    second, third = first + draw.number(-6, 6, 0.5), first + draw.number(-6, 6, 0.5)
    total = math.fsum(10 ** (level / 10) for level in (first, second, third))
    return Problem(
        {"first_dbm": first, "second_dbm": second, "third_dbm": third},
        10 * math.log10(total),
        "dBm",
        f"10*log10(10^({first}/10)+10^({second}/10)+10^({third}/10))",
    )


def _log_distance(draw: Draw) -> Problem:
    near, exponent, metres = draw.number(30, 80, 0.5), draw.number(2, 4.5, 0.1), draw.whole(20, 5000)
    reference = draw.pick(1, 10, 100)
    return Problem(
        {"reference_m": reference, "near_db": near, "exponent": exponent, "distance_m": metres},
        near + 10 * exponent * math.log10(metres / reference),
        "dB",
        f"{near}+10*{exponent}*log10({metres}/{reference})",
    )


def _hata(draw: Draw) -> Problem:
    """Okumura and Hata's median loss in a small or medium city (Hata, IEEE Trans. Veh. Technol. 29, 1980)."""
    mhz, station, user = draw.number(200, 1500, 10), draw.whole(30, 100), draw.number(1, 3, 0.5)
    km = draw.number(1, 15, 0.5)
    height = (1.1 * math.log10(mhz) - 0.7) * user - (1.56 * math.log10(mhz) - 0.8)
    loss = 69.55 + 26.16 * math.log10(mhz) - 13.82 * math.log10(station) - height
    loss += (44.9 - 6.55 * math.log10(station)) * math.log10(km)
    return Problem(
        {"frequency_mhz": mhz, "station_m": station, "user_m": user, "distance_km": km},
        loss,
        "dB",
        f"69.55+26.16*log10({mhz})-13.82*log10({station})-((1.1*log10({mhz})-0.7)*{user}-(1.56*log10({mhz})-0.8))"
        f"+(44.9-6.55*log10({station}))*log10({km})",
    )


def _noise_floor(draw: Draw) -> Problem:
    mhz, figure, kelvin = draw.number(0.2, 100, 0.2), draw.number(1, 9, 0.5), draw.pick(290, 290, 300, 260)
    return Problem(
        {"bandwidth_mhz": mhz, "figure_db": figure, "temperature_k": kelvin},
        10 * math.log10(BOLTZMANN * kelvin * mhz * 1e6 * 1000) + figure,
        "dBm",
        f"10*log10(k*{kelvin}*{mhz}e6*1000)+{figure}",
    )


def _cascaded_noise(draw: Draw) -> Problem:
    """Noise figure of two stages (Friis, Proc. IRE 32, 1944)."""
    first, gain, second = draw.number(0.5, 3, 0.1), draw.number(8, 25, 0.5), draw.number(4, 14, 0.5)
    factor = 10 ** (first / 10) + (10 ** (second / 10) - 1) / 10 ** (gain / 10)
    return Problem(
        {"first_db": first, "gain_db": gain, "second_db": second},
        10 * math.log10(factor),
        "dB",
        f"10*log10(10^({first}/10)+(10^({second}/10)-1)/10^({gain}/10))",
    )


def _doppler(draw: Draw) -> Problem:
    kmh, ghz = draw.whole(30, 500), draw.number(0.7, 40, 0.1)
    return Problem(
        {"speed_kmh": kmh, "frequency_ghz": ghz},
        kmh / 3.6 * ghz * 1e9 / LIGHT,
        "Hz",
        f"{kmh}/3.6*{ghz}e9/c",
    )


def _coherence_time(draw: Draw) -> Problem:
    """Clarke's model: the geometric mean 0.423/f_d (Rappaport, Wireless Communications, section 5.4)."""
    kmh, ghz = draw.whole(3, 350), draw.number(0.7, 28, 0.1)
    return Problem(
        {"speed_kmh": kmh, "frequency_ghz": ghz},
        0.423 / (kmh / 3.6 * ghz * 1e9 / LIGHT) * 1e3,
        "ms",
        f"0.423/({kmh}/3.6*{ghz}e9/c)*1000",
    )


def _coherence_bandwidth(draw: Draw) -> Problem:
    """About 1/(5 σ) for a correlation of one half (Rappaport, Wireless Communications, section 5.4)."""
    nanoseconds = draw.whole(20, 5000)
    return Problem(
        {"spread_ns": nanoseconds}, 1 / (5 * nanoseconds * 1e-9) / 1e3, "kHz", f"1/(5*{nanoseconds}e-9)/1000"
    )


def _rayleigh_outage(draw: Draw) -> Problem:
    mean, threshold = draw.number(10, 30, 0.5), draw.number(-5, 8, 0.5)
    return Problem(
        {"mean_db": mean, "threshold_db": threshold},
        -math.expm1(-(10 ** ((threshold - mean) / 10))),
        "",
        f"1-exp(-10^(({threshold}-{mean})/10))",
    )


def _fresnel(draw: Draw) -> Problem:
    km, ghz = draw.number(2, 40, 0.5), draw.number(2, 38, 0.5)
    return Problem(
        {"distance_km": km, "frequency_ghz": ghz},
        math.sqrt(LIGHT / (ghz * 1e9) * km * 1e3 / 4),
        "m",
        f"sqrt(c/{ghz}e9*{km}e3/4)",
    )


def _horizon(draw: Draw) -> Problem:
    """Radio horizon over an earth of 4/3 of its radius, 4.12 (√h1 + √h2) km."""
    first, second = draw.whole(10, 300), draw.whole(2, 60)
    return Problem(
        {"first_m": first, "second_m": second},
        4.12 * (math.sqrt(first) + math.sqrt(second)),
        "km",
        f"4.12*(sqrt({first})+sqrt({second}))",
    )


def _parabolic_gain(draw: Draw) -> Problem:
    metres, ghz, percent = draw.number(0.3, 4, 0.1), draw.number(4, 40, 0.5), draw.whole(50, 75)
    gain = percent / 100 * (math.pi * metres * ghz * 1e9 / LIGHT) ** 2
    return Problem(
        {"diameter_m": metres, "frequency_ghz": ghz, "efficiency_pct": percent},
        10 * math.log10(gain),
        "dBi",
        f"10*log10({percent}/100*(pi*{metres}*{ghz}e9/c)^2)",
    )


def _quarter_wave(draw: Draw) -> Problem:
    mhz = draw.number(80, 3000, 5)
    return Problem({"frequency_mhz": mhz}, LIGHT / (mhz * 1e6) / 4 * 100, "cm", f"c/{mhz}e6/4*100")


def _return_loss(draw: Draw) -> Problem:
    vswr = draw.number(1.1, 4, 0.05)
    return Problem({"vswr": vswr}, -20 * math.log10((vswr - 1) / (vswr + 1)), "dB", f"-20*log10(({vswr}-1)/({vswr}+1))")


def _reflected_power(draw: Draw) -> Problem:
    vswr, watts = draw.number(1.2, 4, 0.05), draw.whole(5, 100)
    return Problem(
        {"vswr": vswr, "power_w": watts},
        watts * ((vswr - 1) / (vswr + 1)) ** 2,
        "W",
        f"{watts}*(({vswr}-1)/({vswr}+1))^2",
    )


def _array_gain(draw: Draw) -> Problem:
    element, count, loss = draw.number(3, 8, 0.5), draw.pick(8, 16, 32, 64, 128), draw.number(0.5, 3, 0.5)
    return Problem(
        {"element_dbi": element, "count": count, "loss_db": loss},
        element + 10 * math.log10(count) - loss,
        "dBi",
        f"{element}+10*log10({count})-{loss}",
    )


TEMPLATES = (
    Template("free_space_loss", "radio", "basic", _free_space_loss),
    Template("friis", "radio", "advanced", _friis),
    Template("free_space_range", "radio", "advanced", _free_space_range),
    Template("link_margin", "radio", "basic", _link_margin),
    Template("eirp", "radio", "basic", _eirp),
    Template("dbm_to_watt", "radio", "basic", _dbm_to_watt),
    Template("power_sum", "radio", "advanced", _power_sum),
    Template("log_distance", "radio", "basic", _log_distance),
    Template("hata", "radio", "advanced", _hata),
    Template("noise_floor", "radio", "basic", _noise_floor),
    Template("cascaded_noise", "radio", "advanced", _cascaded_noise),
    Template("doppler", "radio", "basic", _doppler),
    Template("coherence_time", "radio", "advanced", _coherence_time),
    Template("coherence_bandwidth", "radio", "basic", _coherence_bandwidth),
    Template("rayleigh_outage", "radio", "advanced", _rayleigh_outage),
    Template("fresnel", "radio", "basic", _fresnel),
    Template("horizon", "radio", "basic", _horizon),
    Template("parabolic_gain", "antennas", "advanced", _parabolic_gain),
    Template("quarter_wave", "antennas", "basic", _quarter_wave),
    Template("return_loss", "antennas", "basic", _return_loss),
    Template("reflected_power", "antennas", "advanced", _reflected_power),
    Template("array_gain", "antennas", "basic", _array_gain),
)
