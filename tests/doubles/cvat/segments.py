"""Jobs made from frames: cut by size and overlap or as named, ground truth, honeypots, replicas."""

from __future__ import annotations

from typing import Any

from .state import Data, Frame, Job, State, Task, Validation

Json = Any
VIDEO_OVERLAP = 5


def split(state: State, task: Task, mapping: list[list[str]] | None, validation: Json) -> None:
    data = task.data
    assert data is not None
    if validation and validation["mode"] == "gt_pool":
        split_with_honeypots(state, task, data, validation)
        return
    if mapping is not None:
        ends = [sum(len(names) for names in mapping[: index + 1]) for index in range(len(mapping))]
        task.segment_size, task.overlap = 0, 0
        bounds = [(end - len(names), end - 1) for end, names in zip(ends, mapping, strict=True)]
    else:
        bounds = regular(task, data)
    for start, stop in bounds:
        add_with_replicas(state, task, start, stop)
    if validation and validation["mode"] == "gt":
        frames = chosen_frames(state, data, validation)
        data.validation = Validation("gt", frames)
        add(state, task, 0, data.size - 1, "ground_truth", frames=frames)


def regular(task: Task, data: Data) -> list[tuple[int, int]]:
    size = task.segment_size if 0 < task.segment_size <= data.size else data.size
    wanted = task.overlap if task.overlap is not None else VIDEO_OVERLAP if data.is_video else 0
    task.segment_size, task.overlap = size, min(wanted, size // 2)
    starts = range(0, data.size - task.overlap, size - task.overlap)
    return [(start, min(start + size, data.size) - 1) for start in starts]


def add(state: State, task: Task, start: int, stop: int, kind: str = "annotation", **rest: Any) -> Job:
    now = state.now()
    job = Job(state.next_id("job"), task, start, stop, now, now, kind, **rest)
    state.jobs[job.id] = job
    task.jobs.append(job)
    return job


def add_with_replicas(state: State, task: Task, start: int, stop: int) -> None:
    job = add(state, task, start, stop)
    for _ in range(task.replicas):
        add(state, task, start, stop, "consensus_replica", parent_id=job.id)


def chosen_frames(state: State, data: Data, validation: Json) -> list[int]:
    if validation["frame_selection_method"] == "manual":
        numbers = {frame.name: number for number, frame in enumerate(data.frames)}
        return sorted(numbers[name] for name in validation["frames"])
    count = validation.get("frame_count") or max(1, round(data.size * validation.get("frame_share", 0)))
    return sorted(state.random.sample(range(data.size), min(count, data.size)))


def split_with_honeypots(state: State, task: Task, data: Data, validation: Json) -> None:
    """The pool's frames come last, for the ground-truth job alone; each other job gets copies of some among its own."""
    pool = [data.frames[number] for number in chosen_frames(state, data, validation)]
    normal = [frame for frame in data.frames if not any(frame is other for other in pool)]
    size = task.segment_size or len(normal)
    per_job = validation.get("frames_per_job_count") or 1
    frames, bounds, copied = list[Frame](), list[tuple[int, int]](), list[tuple[int, int]]()
    for start in range(0, len(normal), size):
        mixed = [(frame, -1) for frame in normal[start : start + size]]
        for number in state.random.sample(range(len(pool)), min(per_job, len(pool))):
            mixed.insert(state.random.randrange(len(mixed) + 1), (pool[number], number))
        copied += [(len(frames) + at, number) for at, (_, number) in enumerate(mixed) if number >= 0]
        bounds.append((len(frames), len(frames) + len(mixed) - 1))
        frames += [frame for frame, _ in mixed]
    first = len(frames)
    data.frames, data.size = frames + pool, first + len(pool)
    data.stop_frame = data.size - 1
    task.segment_size, task.overlap = 0, 0
    numbers = list(range(first, data.size))
    data.validation = Validation("gt_pool", numbers, per_job, {at: first + number for at, number in copied})
    for start, stop in bounds:
        add_with_replicas(state, task, start, stop)
    add(state, task, first, data.size - 1, "ground_truth", frames=numbers)
