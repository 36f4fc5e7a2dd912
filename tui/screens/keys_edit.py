"""The form for a key that there is: what is not changed stays as it is."""

from __future__ import annotations

from collections.abc import Collection

from hydra_box.messages import EditKeyRequest, KeyView
from hydra_box.shown.text import harmless
from tui.screens.keys_form import KeyForm
from tui.widgets.keys_draft import draft_of, read_changes
from tui.widgets.keys_words import ends, moment


class EditKeyDialog(KeyForm):
    """Enter changes the key, from its next request on; escape leaves it as it is.

    Args:
        key: which one, as it is now.
        taken: names of other keys that are not revoked.

    """

    DO = "Save"
    DOING = "changing the key ..."

    def __init__(self, key: KeyView, taken: Collection[str]) -> None:
        super().__init__(draft_of(key), taken)
        self._key = key

    def heading(self) -> str:
        """Above the form."""
        return f"Edit {harmless(self._key.name)}"

    def read(self) -> EditKeyRequest | dict[str, str]:
        """The request, or what is wrong."""
        return read_changes(self.typed, self.draft, self.taken, self.session.clock())

    async def send(self, request: EditKeyRequest) -> None:
        """Change it, and go back to the keys."""
        key = self._key
        if request == EditKeyRequest():
            self.notify("Nothing was changed.")
        else:
            await self.session.link.call(lambda box: box.edit_key(key.id, request))
            self.notify(f"The key {key.name} is changed.", markup=False)
        self.dismiss()

    def note(self, field: str, value: str) -> str:
        """An end that was left as it is may be over, and has seconds that are not shown."""
        at = self._key.expires_at
        if field == "expires" and value == self.draft.expires and at is not None:
            now = self.session.clock()
            word = "it ended" if at <= now else "it ends"
            return f"as it is: {word} at {moment(at)}, {ends(at, now)}"
        return super().note(field, value)
