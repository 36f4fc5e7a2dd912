"""The Textual console: everything a box does, on one terminal.

``main.py`` opens it, ``console.py`` is the application, ``state.py`` what it knows of the box,
``feed.py`` the one writer of that, ``link.py`` the way to the box. Screens ask through the link;
widgets only show.
"""
