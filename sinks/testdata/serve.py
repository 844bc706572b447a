"""Runs the scripts beside it, one after the other, in one interpreter, so that the
readers are imported once. A line of standard input is {"script", "args"}; the
answer is a line {"out"}, what the script printed, or {"error"}.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import traceback


def leave(status):
    raise SystemExit(status)


os._exit = leave  # a script that ends its process ends itself alone
answers = sys.stdout
for line in sys.stdin:
    request = json.loads(line)
    sys.argv = [request["script"], *request["args"]]
    out, answer = io.StringIO(), {}
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(request["script"], run_name="__main__")
    except SystemExit as end:
        if end.code:
            answer = {"error": str(end.code)}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer or {"out": out.getvalue()}), file=answers, flush=True)
