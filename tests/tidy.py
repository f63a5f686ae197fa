#!/usr/bin/env python3
"""Checks the layering of the house: who may include whom, and where third parties are let in.

The rules are the two tables of docs/hacking.md ("Where things belong"); nothing is repeated here. Each row of the first table is
one case; an offence is printed as `file:line: what is wrong`. The last line is `N passed, M failed`.

usage: tidy.py [ROOT]
"""

import fnmatch
import pathlib
import re
import sys

SOURCES = {".h", ".hpp", ".cpp", ".cc"}
# C's headers under their C++ names, and all of C++'s own, are words without a dot or a slash; these few of the compiler's are not.
COMPILER_HEADERS = {"immintrin.h", "arm_neon.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")')


class TableError(Exception):
    """The tables in docs/hacking.md cannot be read: there is nothing to check against."""


class Row:
    """One folder: what it may include, and for each third party the patterns of files where it may."""

    def __init__(self, folder, may, rooms, single):
        self.folder = folder
        self.may = may          # a set of folders, or None for everything
        self.rooms = rooms      # third party -> patterns of files
        self.single = single    # third parties that at most one file may include


def table_after(lines, heading):
    """The cells of the rows of the table whose first heading cell is `heading`."""
    for at, line in enumerate(lines):
        if line.startswith(f"| {heading} |"):
            rows = []
            for row in lines[at + 2:]:
                if not row.startswith("|"):
                    return rows
                rows.append([cell.strip() for cell in row.strip().strip("|").split("|")])
            return rows
    raise TableError(f"docs/hacking.md has no table that begins with '{heading}'")


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


def read_tables(root):
    """-> (rows by folder, third party by header prefix)"""
    lines = (root / "docs" / "hacking.md").read_text(encoding="utf-8").splitlines()
    headers = {}
    for cells in table_after(lines, "Third party"):
        for header in quoted(cells[1]):
            headers[header] = cells[0]
    rows = {}
    for cells in table_after(lines, "Folder"):
        if len(cells) != 3 or len(quoted(cells[0])) != 1:
            raise TableError(f"docs/hacking.md: cannot read the row {cells}")
        folder = quoted(cells[0])[0]
        may = None if cells[1] == "everything" else set(quoted(cells[1]))
        rooms, single = {}, set()
        for entry in [] if cells[2] == "none" else cells[2].split("·"):
            names, _, where = entry.partition(":")
            if not quoted(where):
                raise TableError(f"docs/hacking.md, {folder}: '{entry.strip()}' names no files")
            for name in (part.strip() for part in names.split(",")):
                if name not in headers.values():
                    raise TableError(f"docs/hacking.md, {folder}: no row says which headers '{name}' has")
                rooms.setdefault(name, []).extend(quoted(where))
                if where.strip().startswith("one of"):
                    single.add(name)
        rows[folder] = Row(folder, may, rooms, single)
    for row in rows.values():
        unknown = (row.may or set()) - rows.keys()
        if unknown:
            raise TableError(f"docs/hacking.md, {row.folder}: there is no row for {sorted(unknown)}")
    return rows, headers


def folder_of(path, rows):
    """The row a path belongs to: the longest folder that holds it. `engine/run/x.h` is engine/run's, `engine/reload.h` engine's."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in rows:
            return "/".join(parts)
        parts.pop()
    return None


def third_party_of(header, headers):
    for prefix, name in headers.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return name
    return None


def carriers_of(root, rows, headers):
    """-> {our header: third parties it includes}. Whoever includes such a header has the third party in the house as well, so
    it needs the same room. A header that has no room itself is complained about there, once, and is no carrier."""
    carried = {}
    for top in sorted({folder.split("/")[0] for folder in rows}):
        for path in (root / top).rglob("*.h"):
            name = path.relative_to(root).as_posix()
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                found = INCLUDE.match(line)
                party = found and found.group(1) and third_party_of(found.group(1), headers)
                # The system's headers leave nothing behind that matters; libraries do.
                if party and party != "system" and has_room(name, rows[folder_of(name, rows)], party):
                    carried.setdefault(name, set()).add(party)
    return carried


def has_room(name, row, party):
    # fnmatch's star also crosses folders: `app/*.cpp` is all of app, however deep.
    return any(fnmatch.fnmatchcase(name, room) for room in row.rooms.get(party, []))


def check(root):
    """-> {folder: [offences]} with a key for every row."""
    rows, headers = read_tables(root)
    carried = carriers_of(root, rows, headers)
    offences = {folder: [] for folder in rows}
    users = {}  # (folder, third party) -> {file: line} of those that include it, where only one may
    for top in sorted({folder.split("/")[0] for folder in rows}):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SOURCES or not path.is_file():
                continue
            name = path.relative_to(root).as_posix()
            row = rows[folder_of(name, rows)]
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                system, ours = found.groups()
                if ours:
                    complaint = our_complaint(root, row, ours, rows)
                    for party in sorted(carried.get(ours, ())):
                        if not complaint and not has_room(name, row, party):
                            complaint = f'"{ours}" brings {party} along, which has no room here'
                else:
                    complaint = their_complaint(name, number, row, system, headers, users)
                if complaint:
                    offences[row.folder].append(f"{name}:{number}: {complaint}")
    for (folder, party), files in sorted(users.items()):
        for name in sorted(files)[1:]:
            offences[folder].append(f"{name}:{files[name]}: {party} is already included in {sorted(files)[0]}; "
                                    "only one file may")
    return offences


def our_complaint(root, row, header, rows):
    folder = folder_of(header, rows)
    if folder is None or not (root / header).is_file():
        return f'"{header}" is no header of ours (ours are written from the root: "nfa/program.h"; others in <>)'
    if row.may is None or folder == row.folder or folder in row.may:
        return None
    return f"{row.folder} may not include {folder} (\"{header}\")"


def their_complaint(name, number, row, header, headers, users):
    party = third_party_of(header, headers)
    if party is None:
        if header in COMPILER_HEADERS or not re.search(r"[./]", header):
            return None
        return f"<{header}> belongs to no third party that docs/hacking.md knows"
    rooms = row.rooms.get(party, [])
    if not has_room(name, row, party):
        where = " or ".join(rooms) if rooms else f"nowhere in {row.folder}"
        return f"<{header}>: {party} may be included {'only in ' if rooms else ''}{where}"
    if party in row.single:
        users.setdefault((row.folder, party), {}).setdefault(name, number)
    return None


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    try:
        offences = check(root)
    except (TableError, OSError) as error:
        print(error)
        print("0 passed, 1 failed")
        return 1
    failed = 0
    for found in offences.values():
        failed += bool(found)
        for offence in found:
            print(offence)
    print(f"{len(offences) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
