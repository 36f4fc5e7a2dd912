"""Users: who owns services and keys."""

from __future__ import annotations

from hydra_box.client.base import API, Calls, part_of_path
from hydra_box.messages import CreateUserRequest, EditUserRequest, UserView


class UserCalls(Calls):
    """Users: who owns services and keys."""

    def users(self) -> tuple[UserView, ...]:
        """Every user; the first is the box's owner."""
        return self._connection.call("GET", f"{API}/users", tuple[UserView, ...])

    def user(self, name: str) -> UserView:
        """One user, by name or id."""
        return self._connection.call("GET", self._path_of_user(name), UserView)

    def create_user(self, name: str) -> UserView:
        """Make a user."""
        return self._connection.call(
            "POST", f"{API}/users", UserView, body=CreateUserRequest(name=name)
        )

    def edit_user(self, name: str, request: EditUserRequest) -> UserView:
        """Rename, disable or enable a user, by name or id."""
        return self._connection.call("PATCH", self._path_of_user(name), UserView, body=request)

    def delete_user(self, name: str) -> UserView:
        """Delete a user that owns no service, by name or id, with its keys."""
        return self._connection.call("DELETE", self._path_of_user(name), UserView)

    def _path_of_user(self, name: str) -> str:
        return f"{API}/users/{part_of_path(name, self._user_ids, 'there is no user')}"

    def _user_ids(self) -> dict[str, str]:
        return {user.name: user.id for user in self.users()}
