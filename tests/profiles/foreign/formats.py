"""Change the format of a table with this program, where its optional libraries are: PACKAGE_FOLDER IN OUT."""

import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from rcic.profiles.profile_file import ending_of, is_metadata, read_profile_file, write_profile_file

table, out = read_profile_file(Path(sys.argv[2])), Path(sys.argv[3])
write_profile_file(out, ending_of(out), table, [name for name in table if not is_metadata(name)])
