import gc
import threading

import torch

from rcic.pixels.batches.scratch import Lender, scratch


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


def test_lent_memory_comes_back_when_the_last_view_of_it_is_gone():
    lender = Lender()
    first = lender.tensor((2, 3))
    assert first.shape == (2, 3) and first.dtype == torch.uint8
    address, view = first.data_ptr(), first[1:].numpy()
    other = lender.tensor((2, 3))
    assert other.data_ptr() != address
    del first
    assert lender.tensor((2, 3)).data_ptr() != address  # the view is still there
    del view
    assert lender.tensor((2, 3)).data_ptr() == address


def test_a_smaller_tensor_takes_memory_that_is_there_and_a_larger_one_does_not():
    lender = Lender()
    address = lender.tensor((4, 8), torch.float32).data_ptr()
    small = lender.tensor((3, 8), torch.float32)
    assert small.data_ptr() == address and small.is_contiguous()
    large = lender.tensor((5, 8), torch.float32)
    del small
    assert large.data_ptr() != address
    large[:] = 1.0
    del large
    assert torch.equal(lender.tensor((5, 8), torch.float32), torch.ones(5, 8))


def test_what_was_lent_may_outlive_the_lender():
    tensor = Lender().tensor((4,))
    gc.collect()
    tensor[:] = 7
    assert tensor.tolist() == [7] * 4
