"""The peers by name, ours first."""

from __future__ import annotations

from _peers.base import HandWritten, Memories, Peer
from _peers.clouds import AioBotocore, Fal, PatientBotocore, Replicate, Stripe
from _peers.models import Anthropic, GoogleGenAI, OpenAI, TwelveLabs

PEERS: dict[str, Peer] = {
    peer.name or peer.package: peer
    for peer in (
        *(Memories(), HandWritten(), OpenAI(), Anthropic(), TwelveLabs(), GoogleGenAI()),
        *(Stripe(), AioBotocore(), PatientBotocore(), Fal(), Replicate()),
    )
}
