"""All planted bugs."""

from __future__ import annotations

from typing import Final

from cancellation_mutants import CANCELLATION_MUTANTS
from client_mutants import CLIENT_MUTANTS
from domain_mutants import DOMAIN_MUTANTS
from session_mutants import SESSION_MUTANTS

MUTANTS: Final = (*DOMAIN_MUTANTS, *SESSION_MUTANTS, *CLIENT_MUTANTS, *CANCELLATION_MUTANTS)
