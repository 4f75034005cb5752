import threading

from rcic.pixels.scratch import scratch


def test_a_thread_has_its_own_memory_by_name_and_shape():
    first = scratch("a", (2, 3))
    first[:] = 5
    assert scratch("a", (2, 3)) is first
    assert scratch("b", (2, 3)) is not first
    assert scratch("a", (3, 3)).shape == (3, 3)
    found = []
    thread = threading.Thread(target=lambda: found.append(scratch("b", (2, 3))))
    thread.start()
    thread.join()
    assert found[0] is not scratch("b", (2, 3))
