"""One live page for people: the fleet, the queue, and the story of a job. It reads without JavaScript, and moves with it."""
