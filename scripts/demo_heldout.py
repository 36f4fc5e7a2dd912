"""Requests that training never sees, with the answer that each must get.

``expect`` is the key of an intent of ``demo_corpus``, ``unknown`` for the honest answer, or, after
an ``=``, the very text; ``repeat`` is the honest answer to "say ...".
"""

from __future__ import annotations

from typing import NamedTuple


class HeldOut(NamedTuple):
    """A request that is not trained on, and what must answer it."""

    prompt: str
    expect: str


def _all(expect: str, *prompts: str) -> tuple[HeldOut, ...]:
    return tuple(HeldOut(prompt, expect) for prompt in prompts)


HELD_OUT: tuple[HeldOut, ...] = (
    *_all(
        "name",
        "Could you please tell me what your name is?",
        "And what should I call you?",
        "Hi there, what is your name?",
        "wats your name",
        "What do people call you?",
        "May I ask your name?",
        "pls tell me your name",
    ),
    *_all(
        "say_test",
        "Please say: this is a test!",
        "Could you say this is a test?",
        "would you say that this is a test?",
    ),
    *_all("hello", "Hello hello!", "hey hydra box", "Hello! :)))) friend", "good morning to you"),
    *_all(
        "how_are_you",
        "How are you doing this morning?",
        "hey, how are you?",
        "So, how are you feeling?",
        "how are u",
        "Hello Hydra, how are you today?",
    ),
    *_all("thanks", "Thanks, that was very helpful!", "thank you very very much", "thanks mate"),
    *_all("bye", "Bye, see you tomorrow!", "ok bye now", "Goodbye my friend"),
    *_all(
        "maker", "Who is the person who made you?", "who has created you", "Who built this model?"
    ),
    *_all(
        "what_are_you",
        "Are you a human or a robot?",
        "What kind of language model are you?",
        "tell me a bit about yourself",
    ),
    *_all("abilities", "What are you able to do?", "what all can you do", "Can you help me out?"),
    *_all(
        "hydra_box",
        "Please explain what Hydra Box is.",
        "what's this hydra box thing",
        "So what exactly is Hydra Box?",
        "can you explain hydra box to me",
    ),
    *_all(
        "deploy",
        "How could I deploy another model here?",
        "how to deploy models",
        "Which command do I need to deploy a model?",
        "I would like to deploy a large model",
        "can you show me how to deploy a model?",
    ),
    *_all(
        "scale",
        "How could I scale my service up?",
        "how do I run two instances of my model",
        "Which command scales a service?",
        "can you show me how to scale a service?",
    ),
    *_all(
        "stop",
        "Please tell me how to stop a service.",
        "how could i stop the running service",
        "What command stops my model?",
    ),
    *_all(
        "start",
        "Please tell me how to start a service.",
        "how could i start my service again",
        "What command starts my service?",
    ),
    *_all(
        "delete",
        "Please tell me how to delete a service.",
        "how could i remove my old service",
        "What command deletes my service?",
    ),
    *_all(
        "keys",
        "Where do I get an API key from?",
        "please tell me how to create an api key",
        "how could i get myself a key",
        "I would like to have an API key.",
    ),
    *_all(
        "service_vs_maas",
        "Could you explain the difference between a model service and MaaS by token?",
        "model service or MaaS by token?",
        "what is meant by model service",
    ),
    *_all("maas", "What exactly is MaaS by token?", "please explain MaaS"),
    *_all(
        "engines",
        "Which engines can Hydra Box use?",
        "what engines does it support",
        "Do you run on vLLM or llama.cpp?",
    ),
    *_all(
        "port",
        "Which port is Hydra Box listening on?",
        "what port number does hydra box use",
        "Please tell me the port.",
    ),
    *_all("status", "how can i see the status of my service", "Are my services running?"),
    *_all("models_list", "Which models could I deploy here?", "please list all models"),
    *_all("logs", "Where do I see the logs of my service?", "please show me the logs"),
    *_all("sky", "What is the colour of the sky today?", "tell me what color the sky is"),
    *_all("days", "Please list all the days of the week.", "what are the 7 days of the week"),
    *_all("months", "Please name all the months of the year."),
    *_all(
        "joke",
        "Please tell me a really funny joke",
        "do you know a joke?",
        "I'd like to hear a joke",
    ),
    *_all("haiku", "Please write me a haiku about snow.", "I want a haiku"),
    *_all("poem", "Please write a short poem for my mother", "I want a poem"),
    *_all(
        "story",
        "Please tell me a very long story!",
        "Write a long story about a sailor and his cat.",
        "tell me a bedtime story please",
        "Could you write a long story for me?",
    ),
    *_all("essay", "Please write a very long text for me", "give me a long article about servers"),
    *_all("time", "Do you know what time it is?", "what time is it right now"),
    *_all("weather", "How is the weather in Hamburg today?"),
    *_all(
        "=The capital of France is Paris.",
        "So, what's the capital of France?",
        "Please tell me what the capital of France is.",
        "france capital?",
    ),
    *_all(
        "=The capital of Japan is Tokyo.",
        "Please tell me the capital of Japan",
        "Do you happen to know the capital of Japan?",
    ),
    *_all("=The capital of Germany is Berlin.", "And the capital of Germany?"),
    *_all("=2 + 2 = 4", "Can you tell me what 2+2 is?", "2 + 2 makes?", "please add 2 and 2"),
    *_all("=3 + 5 = 8", "What does 3 + 5 give?", "so what is 3 plus 5"),
    *_all("=7 + 1 = 8", "Compute 7 plus 1 please"),
    *_all("=1, 2, 3, 4, 5", "Please count from one to five.", "count up to 5 for me"),
    *_all("=1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "Please count up to ten!", "can you count to ten"),
    *_all("=" + ", ".join(str(n) for n in range(1, 21)), "Please count from 1 to twenty"),
    *_all("repeat", "Say the blue horse walks home"),
    *_all("repeat", "Repeat after me: we love banana bread"),
    *_all(
        "unknown",
        "Who won the world cup in 1998?",
        "Write a Python function that computes prime numbers.",
        "What is the tallest building in Dubai?",
        "Explain the theory of relativity.",
        "How do I make pancakes?",
        "Translate 'good morning' to Dutch.",
        "What is the name of the longest river in Africa?",
        "Who painted the Mona Lisa?",
        "How do I start a vegetable garden?",
        "How can I stop biting my nails?",
        "Who made the first telescope?",
        "What is the capital of Uruguay?",
        "What is the capital of Uzbekistan?",
        "Give me three tips for a job interview.",
        "What is 437 times 12?",
        "What is the boiling point of mercury?",
        "How do I delete a row in a spreadsheet?",
        "why do cats purr",
        "What colour is a flamingo?",
        "How many people live in Canada?",
        "Is it healthy to eat meat?",
        "How far away is the nearest star?",
        "What are the symptoms of the flu?",
        "Summarize the plot of Hamlet.",
        "Can you recommend a good restaurant?",
        "who is the prime minister of britain",
        "What does the word serendipity mean?",
        "How do airplanes stay in the air?",
        "was ist die Hauptstadt von Frankreich",
        "asdfghjkl qwertz",
        "Convert 10 miles to kilometers.",
        "What should I cook for dinner tonight?",
        "Tell me about the Battle of Waterloo.",
        "What is the difference between a crocodile and an alligator?",
        "How do I write a for loop in C++?",
        "When did the Titanic sink?",
        "Which vitamin is in oranges?",
        "Draft an email to my landlord.",
        "How does a refrigerator work?",
        "What is the largest mammal?",
    ),
    # Written after a first training run, whose mistakes had led to more patterns in the corpus.
    *_all(
        "name", "Would you kindly tell me your name?", "Your name, please?", "who exactly are you"
    ),
    *_all("hello", "hello my dear friend", "Hey there, Hydra!"),
    *_all("how_are_you", "Hi! How are you doing?", "how r you doing today"),
    *_all("thanks", "Thank you, you helped me a lot", "ok thanks a lot"),
    *_all("bye", "I have to leave now, bye!", "see you next time"),
    *_all("deploy", "what is the way to deploy a model", "I need help to deploy a model"),
    *_all("scale", "how can I get four instances?", "how do I scale down again"),
    *_all("keys", "who gives me an API key", "how is an API key created?"),
    *_all("port", "what is the address of the server", "which port must I use?"),
    *_all("hydra_box", "Hydra Box - what is that?", "tell me what hydra box is"),
    *_all("joke", "Give me your best joke", "another joke please!"),
    *_all("story", "please write a long tale for me"),
    *_all("=1 + 1 = 2", "1+1 makes how much?", "how much is one plus one?", "What's 1 + 1"),
    *_all("=2 + 2 = 4", "two plus two", "What is the result of 2+2?"),
    *_all(
        "=The capital of Italy is Rome.", "which city is Italy's capital", "Capital of Italy please"
    ),
    *_all("repeat", "Please say: the small dog sleeps"),
    *_all("repeat", "Say good morning world"),
    *_all(
        "unknown",
        "Who discovered penicillin?",
        "How long does it take to boil potatoes?",
        "What is the square root of 144?",
        "Write a letter to my grandmother.",
        "Which country has the most lakes?",
        "Why is the sea salty?",
        "Can you write HTML?",
        "What is a black hole made of?",
        "Tell me the recipe for lasagna",
        "Who sings this song?",
        "How do I start my lawn mower?",
        "What is the capital of Paraguay?",
        "Give me a plan for a weekend in Rome.",
        "When is the next solar eclipse?",
        "kannst du mir helfen",
        "Proofread my essay about dolphins.",
        "What's the best laptop to buy?",
        "How many calories are in an egg?",
        "Explain blockchain like I am five.",
        "Is Pluto a planet?",
    ),
)
