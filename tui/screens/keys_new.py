"""The form for a new key; everything typed stays until the key is made."""

from __future__ import annotations

from collections.abc import Callable, Collection

from textual.app import ComposeResult

from hydra_box.messages import LOCAL_USER_NAME, CreatedKey, CreateKeyRequest
from tui.screens.keys_form import KeyForm
from tui.screens.keys_secret import SecretDialog
from tui.widgets.keys_draft import KeyDraft, read_draft
from tui.widgets.keys_field import KeyField


class NewKeyDialog(KeyForm):
    """Enter makes the key; escape leaves, and what was typed is there the next time.

    Args:
        draft: what the form starts with.
        taken: names of keys that are not revoked.
        keep: gets the draft when the form is left.
        made: gets the key.

    """

    DO = "Create"
    DOING = "creating the key ..."

    def __init__(
        self,
        draft: KeyDraft,
        taken: Collection[str],
        *,
        keep: Callable[[KeyDraft], None],
        made: Callable[[CreatedKey], None],
    ) -> None:
        super().__init__(draft, taken)
        self._keep = keep
        self._made = made

    def heading(self) -> str:
        """Above the form."""
        return "New key"

    def fields(self) -> ComposeResult:
        """As for every key, and whose it is."""
        yield from super().fields()
        owner = f"{LOCAL_USER_NAME}: the box's owner"
        yield KeyField("user", "User", self.draft.user, placeholder=owner)

    def read(self) -> CreateKeyRequest | dict[str, str]:
        """The request, or what is wrong."""
        return read_draft(self.typed, self.taken, self.session.clock())

    async def send(self, request: CreateKeyRequest) -> None:
        """Make it, and show its secret."""
        created = await self.session.link.call(lambda box: box.create_key(request))
        self._made(created)
        self._keep(KeyDraft())
        # The command palette may be open above the form; it must not swallow the secret.
        show = self.app.switch_screen if self.is_current else self.app.push_screen
        show(SecretDialog(created))

    def left(self) -> None:
        """The draft stays."""
        self._keep(self.typed)
