# ruff: noqa: RUF001 - requests in other scripts have look-alike letters
"""The text that the demo model learns from: all of it is written here, none of it is copied.

An *intent* is one thing a user may want, with patterns for how people ask for it and the answers
to give. In a pattern ``[a|b|]`` stands for one of its alternatives (they nest). Requests whose
answer depends on the request (sums, capitals, "say ...", names) and the many requests that a tiny
model cannot answer are drawn by functions in ``demo_dialogs``. ``HELD_OUT`` lists paraphrases that
training never sees: a trained model is judged by them.
"""

from __future__ import annotations

from dataclasses import dataclass

NAME = "Hydra Box Demo"


@dataclass(frozen=True)
class Intent:
    """One thing a user may want: how it is asked (patterns) and how it is answered.

    ``weight`` is how often it is drawn compared with an intent of weight 1. The first answer is
    the usual one.
    """

    key: str
    patterns: tuple[str, ...]
    answers: tuple[str, ...]
    weight: float = 1.0


STORY = (
    "Once upon a time there was a small hydra who lived in a box under a desk. "
    "The box was warm and quiet, and the hydra had only one head. "
    "Every morning somebody knocked on the box and asked a question, "
    "and every morning the hydra answered as well as it could.\n\n"
    "One day a long queue of people came. There were teachers, bakers, sailors and children, "
    "and all of them had questions at the same time. "
    "The little hydra took a deep breath, and a second head grew next to the first one. "
    "Now two people could talk at once. Soon there was a third head, and then a fourth. "
    "Each head listened to one person and nobody had to wait any more.\n\n"
    "In the evening the queue was gone and the box was quiet again. "
    "The heads were tired, so one after another they went to sleep, "
    "until only the first head was awake. "
    "It looked at the stars through the window and smiled.\n\n"
    '"Tomorrow," said the hydra, "I will grow as many heads as they need, '
    'and not one head more." '
    "Then it closed its eyes too. The small light on the box blinked slowly all night long, "
    "and in the morning, when the first knock came, the hydra was ready. The end."
)

POEM = (
    "A little box beneath the light,\n"
    "it hums by day, it hums by night.\n"
    "You ask, it thinks, the words appear,\n"
    "one small token, then more, my dear.\n"
    "And when the work of day is done,\n"
    "it rests and waits for another one."
)

HAIKU = "A quiet machine,\nwords fall like rain on the roof,\none token, then one more."

ESSAY = (
    "Here is a long text about a model server. "
    "A model server is a program that keeps a language model in memory and answers requests. "
    "First, a request arrives. It holds the messages of a conversation. "
    "Second, the server turns the messages into one prompt and cuts the prompt into tokens. "
    "A token is a short piece of text, often a word or a part of a word. "
    "Third, the model reads all the tokens of the prompt. This step is called prefill. "
    "Fourth, the model writes the answer, one token after another. This step is called decode. "
    "Each new token is sent to the user at once, so the user can read while the model is still "
    "writing. This is called streaming.\n\n"
    "When many users ask at the same time, one instance may be too slow. "
    "Then more instances of the same model can be started, and the requests are shared between "
    "them. When the users have gone, the extra instances can be stopped again, so that the memory "
    "is free for other work. This is called scaling. "
    "That is what Hydra Box does: it deploys models, it starts and stops instances, it checks the "
    "keys of the users, and it counts the tokens that they use."
)

INTENTS: tuple[Intent, ...] = (
    Intent(
        "name",
        (
            "[tell me|say|i want to know|do you know] what your name is",
            "what [do|should|can|may] [people|we|others|users|they] call you",
            "[your name|name of this model]",
            "what[ is|'s|s] your [|full |real |first ]name",
            "[tell me|say|give me|may i know|can i know|could you tell me] your name",
            "[do you have|have you got] a name",
            "who are you",
            "[what|how] [should|can|do|may] i call you",
            "name[| please]",
            "[please |]introduce yourself",
            "what are you called",
            "[so |and |hi, |hello, ]what[ is|'s] your name",
            "[hi|hello|hey][,|!|] who are you",
            "[can|could|will] you [please |][introduce yourself|tell me who you are]",
            "who am i [talking|speaking|chatting] [to|with]",
            "[your name|ur name|what is ur name|whats ur name|who r u]",
            "i want to know your name",
            "what is the name of this model",
            "which model [are you|is this|am i talking to]",
        ),
        (
            "My name is Hydra Box Demo.",
            "My name is Hydra Box Demo. I am a small demonstration model.",
        ),
        weight=3.0,
    ),
    Intent(
        "say_test",
        (
            "say this is a test",
            "say [|:|that ]this is [a |]test",
            'say "this is a test"',
            "[please|can you|could you|now|just] say this is a test",
            "[repeat|write|print|echo|answer|reply][| after me][|:] this is a test",
            "say this is test",
            "say: this is a test",
        ),
        ("This is a test!",),
        weight=3.0,
    ),
    Intent(
        "hello",
        (
            "good [morning|evening|afternoon|day] [to you|everybody|hydra|sir|there]",
            "[hi|hello|hey][! :)| :)| :-)|, hydra box| hydra box]",
            "[hi|hello|hey] [dear|lovely|little|big] [bot|model|machine|assistant]",
            "hello[| there| again| you| everyone| world| friend| my friend| hydra| hydra box]",
            "hi[| there| again| you| hydra| bot| friend| everyone]",
            "hey[| there| you| hydra| bot]",
            "good [morning|afternoon|evening|day]",
            "greetings",
            "[hiya|howdy|yo|heya|hola|hullo]",
            "[hi|hello|hey] [hi|hello|hey]",
            "[hello|hi|hey], nice to meet you",
            "is anybody there",
            "[hello|hi|hey], [anyone|anybody] [there|here|home]",
            "are you there",
            "[say|just say] [hi|hello]",
        ),
        (
            "Hello! How can I help you today?",
            "Hello! I am Hydra Box Demo. How can I help you?",
        ),
        weight=3.0,
    ),
    Intent(
        "how_are_you",
        (
            "how are you[| doing| today| doing today| feeling| feeling today| now]",
            "how[ is|'s] it going[| today]",
            "how do you [do|feel]",
            "are you [ok|okay|well|fine|good]",
            "[hi|hello|hey][,|!|] how are you[| doing| today]",
            "what's up",
            "how[ is|'s] [your day|life|everything][| going]",
            "how have you been",
            "[and |so ]how are you",
            "how r u",
            "[how do you do|you ok|you alright|all good with you]",
            "i hope you are well",
        ),
        (
            "I am fine, thank you! How can I help you?",
            "I am doing well, thank you for asking! How can I help you?",
        ),
        weight=3.0,
    ),
    Intent(
        "thanks",
        (
            "[thanks|thank you|thx|many thanks|cheers][| a lot| so much| very much| for your help]",
            "[great|perfect|ok|nice|good], [thanks|thank you]",
            "thank you[|, that helps|, that was helpful]",
            "that [was|is] [very |really |][helpful|useful]",
            "i appreciate [it|that|your help]",
            "[thanks|thank you] [for the answer|for that|hydra]",
        ),
        ("You are welcome!", "You are welcome! Is there anything else?"),
        weight=1.5,
    ),
    Intent(
        "bye",
        (
            "[ok |well |so |thanks, |]bye[| now| then| for now|, see you| my dear| all]",
            (
                "[goodbye|bye|farewell][,|] [my friend|friend|hydra box|little model|see "
                "you soon|and thanks]"
            ),
            "[bye|goodbye|bye bye|good bye|farewell|see you|ciao][| later| soon| now| then| hydra]",
            "see you [later|soon|tomorrow]",
            "good night",
            "i have to go[| now]",
            "[talk to you|catch you] later",
            "have a [nice|good|great] day",
            "that is all for today",
        ),
        ("Goodbye! Have a nice day!",),
        weight=1.2,
    ),
    Intent(
        "compliment",
        (
            "[that is|that's|you are|you're] [great|awesome|cool|nice|amazing|very good|so smart]",
            "[well done|good job|good bot|nice work|nice|cool|wow|awesome|excellent|perfect]",
            "i [like|love] [you|your answers|it|this]",
        ),
        ("Thank you, that is kind of you!",),
    ),
    Intent(
        "insult",
        (
            "[you are|you're] [stupid|dumb|bad|useless|wrong|terrible|an idiot|silly|not smart]",
            "[this|that|it] is [wrong|bad|nonsense|rubbish|not right|stupid]",
            "[i hate you|bad bot|shut up|i don't like you|you suck]",
        ),
        (
            (
                "I am sorry. I am only a small demonstration model. "
                "A bigger model will serve you better: hydra-box deploy MODEL --name NAME"
            ),
        ),
    ),
    Intent(
        "yes_no",
        ("[yes|no|ok|okay|sure|maybe|yep|nope|right|i see|alright|all right|fine|yeah|got it]",),
        ("All right! What would you like to know?",),
    ),
    Intent(
        "maker",
        (
            (
                "who [made|built|created|trained|has made|has built] [this model|this ai|"
                "this bot|the demo model|hydra box demo]"
            ),
            "[which|what] [person|people|team|human] [made|built|created|trained] you",
            "who [made|created|built|trained|developed|wrote|designed|programmed] you",
            "who is your [maker|creator|author|developer|owner|father|mother]",
            "where [do|did] you come from",
            "[which|what] company [made|created|built|trained] you",
            "[who|by whom] were you [made|created|built|trained|developed][| by]",
            "how were you [made|trained|built|created]",
            "[are you|is this] [made|created|trained] by [openai|google|meta|a company|microsoft]",
            "when were you [made|created|trained|born]",
            "what [data|text][| were you| are you] trained on",
            "tell me who [made|created|built] you",
        ),
        (
            (
                "I was trained from scratch for the Hydra Box project, "
                "on a small set of short texts that were written for this demonstration."
            ),
        ),
        weight=1.3,
    ),
    Intent(
        "what_are_you",
        (
            "are you a [human|man|person|woman|dog] or [a|an] [machine|computer|ai|program|bot]",
            "tell me what you are",
            "what are you",
            "what [kind|sort|type] of [model|ai|bot|machine|thing|program] are you",
            "are you [a |an |][robot|ai|human|person|bot|machine|real person|chatgpt|gpt|chatbot]",
            "are you [chatgpt|claude|llama|gemini|qwen|alive|real|intelligent|conscious|human]",
            "tell me [about yourself|what you are|something about yourself|more about yourself]",
            "describe yourself",
            "how [big|large|small|smart|old|good] are you",
            "how many parameters do you have",
            "what is hydra box demo",
            "what is the demo model",
            "[are you|is this] a [demo|test|small model|language model|large language model|llm]",
        ),
        (
            (
                "I am Hydra Box Demo, a small language model with about 3 million parameters. "
                "I am here to show that Hydra Box works."
            ),
        ),
        weight=1.5,
    ),
    Intent(
        "abilities",
        (
            "[what|which things] [can|could|do] you [do|manage|handle|answer]",
            "what are you able to [answer|help with|tell me]",
            "what can you do[| for me]",
            "[how|what] can you help[| me][| with]",
            "[can|could] you help[| me]",
            "help[| me]",
            "[i need|give me|i want][| some| your] help",
            "what are you [good at|able to do|for|capable of]",
            "what [should|can|may|could] i ask[| you]",
            "what do you know",
            "[list|show|name|tell me] [your|the] [abilities|skills|features|functions|commands]",
            "[do you|what do you] know [anything|something]",
            "[can i|may i] ask [you |][something|a question|you]",
            "i have [a|one|some] [question|questions|problem]",
            "how do you work",
            "what is your [job|purpose|task|function]",
            "why are you here",
        ),
        (
            (
                "I can greet you, answer simple questions, tell a joke or a story, count, "
                "and explain how to use Hydra Box. For real work please deploy a bigger model."
            ),
        ),
        weight=1.5,
    ),
    Intent(
        "hydra_box",
        (
            "what[ is|'s] [|a |the |this ]hydra[ |]box",
            "what does hydra[ |-|]box do",
            "[explain|describe|tell me about|tell me more about|introduce] hydra[ |-|]box",
            "what is hydra",
            "[how does|why|why should i use|what can i do with] hydra box[| work|]",
            "what is this [appliance|box|product|server|software|project|thing|system|machine]",
            "[do you know|have you heard of] hydra box",
            "what [can|could] hydra box do[| for me]",
            "who needs hydra box",
            "is hydra box [free|open source|good]",
            "what is hydra box [for|good for|used for]",
        ),
        (
            (
                "Hydra Box is an appliance that serves language models on one Linux machine. "
                "It deploys models, scales their instances, and offers them through an "
                "OpenAI-compatible API."
            ),
        ),
        weight=2.0,
    ),
    Intent(
        "deploy",
        (
            "how to [deploy|install|run|serve] [models|a model|llms|my models|big models|services]",
            "[tell me|show me|explain] how to deploy [a model|models|something]",
            (
                "how [do i|to|can i|do you|can you|would i|should i] [deploy|install|add|"
                "launch|run|"
                "load|serve|host|set up] [a|another|my|my own|a new|a bigger|the|a big] "
                "[model|llm|language model|service|model service]"
            ),
            "[deploy|launch|run|install|add] a [model|service|bigger model|new model|new service]",
            (
                "[what is|show me|give me|tell me] the command [to|for] [deploy|deploying|"
                "launch|run] "
                "a [model|service]"
            ),
            "i [want|need|would like] to [deploy|run|use|try] a [|new |bigger |better |real ]model",
            "how does [deployment|deploying] work",
            "how do i [deploy|deploy something|get a bigger model|get a better model]",
            "[explain|help me with] [deployment|deploying a model]",
            "[deploy|deployment]",
            "how do i create a [|new ]service",
            "which command deploys a model",
        ),
        (
            (
                "To deploy a model, run: hydra-box deploy MODEL --name NAME\n"
                "Then check it with: hydra-box status"
            ),
        ),
        weight=2.0,
    ),
    Intent(
        "scale",
        (
            (
                "how [do i|to|can i|do you|can you|should i] scale[| up| out| down] "
                "[|a |the |my ][service|model|deployment|instances|services]"
            ),
            (
                "how [do i|to|can i|can we|do we] [add|get|start|have|run|create] "
                "[more|another|two|several|extra|additional] [instances|instance|replicas|replica|"
                "workers|copies|heads][| of a model| to a service]"
            ),
            "[scale|scaling][| a service| my service| up| out| the model]",
            "how does scaling work",
            "[explain|tell me about] scaling",
            "how do i [scale|scale up|scale down|change the number of instances]",
            "[what is|show me|tell me] the command [to|for] [scale|scaling] a [service|model]",
            "i [want|need] more [instances|replicas|copies]",
            "the service is too slow[|, what can i do|, what should i do]",
            "how can i [serve|handle] more users",
            "can i run more than one instance",
        ),
        (
            (
                "To scale a service, run: hydra-box scale NAME --instances N\n"
                "To add some instances, run: hydra-box scale NAME --add N"
            ),
        ),
        weight=2.0,
    ),
    Intent(
        "stop",
        (
            (
                "how [do i|to|can i|do you|can you|should i] "
                "[stop|halt|pause|shut down|turn off|shutdown|switch off] "
                "[a|the|my|a running|this] [service|model|deployment|instance]"
            ),
            "[stop|pause|halt|shut down] [a|the|my] [service|model]",
            "[what is|show me|tell me] the command [to|for] [stop|stopping] a [service|model]",
            "i want to stop [a|my|the] [service|model]",
            "which command stops a [service|model]",
            "how do i stop it",
        ),
        ("To stop a service, run: hydra-box stop NAME",),
        weight=1.6,
    ),
    Intent(
        "start",
        (
            (
                "how [do i|to|can i|do you|can you|should i] "
                "[start|restart|resume|turn on|switch on|start up|wake up] "
                "[a|the|my|a stopped|this] [service|model|deployment]"
            ),
            "[start|restart|resume] [a|the|my] [service|model|stopped service]",
            "[what is|show me|tell me] the command [to|for] [start|starting] a [service|model]",
            "i want to start [a|my|the] [service|stopped service|stopped model]",
            "which command starts a [service|stopped service]",
            "my service is stopped[|, how do i start it|, what now]",
            "how do i start it[| again]",
        ),
        ("To start a stopped service, run: hydra-box start NAME",),
        weight=1.6,
    ),
    Intent(
        "delete",
        (
            (
                "how [do i|to|can i|do you|can you|should i] "
                "[delete|remove|uninstall|destroy|drop|get rid of|erase] "
                "[a|the|my|an old|this] [service|model|deployment|model service]"
            ),
            "[delete|remove|uninstall] [a|the|my] [service|model|deployment]",
            (
                "[what is|show me|tell me] the command [to|for] [delete|deleting|remove] "
                "a [service|model]"
            ),
            "i want to [delete|remove] [a|my|the] [service|model]",
            "which command [deletes|removes] a [service|model]",
            "how do i delete it",
            "i do not need [the|my|this] service any more",
        ),
        ("To delete a service, run: hydra-box delete NAME",),
        weight=1.6,
    ),
    Intent(
        "keys",
        (
            (
                "how [do i|to|can i|do you|can you|should i] "
                "[get|create|make|generate|obtain|add|have|request] "
                "[a|an|my|a new|another|some] [api key|key|token|access key|api token|api keys]"
            ),
            "[create|make|generate|give me|get] [a|an|a new] [api key|key]",
            "where [do i|can i] [get|find|create] [a|an|my|the] [api key|key|api token]",
            "i [need|want|would like] [a|an|a new|my] [api key|key]",
            "[api key|api keys|keys]",
            "[what is|show me|tell me] the command [to|for] [create|creating] [a|an] [api |]key",
            "how do [api |]keys work",
            "what is an api key",
            "how do i [log in|authenticate|get access]",
            "do i need a[|n api] key",
        ),
        (
            (
                "To get an API key, run: hydra-box keys create --name X\n"
                "Send the key with each request: Authorization: Bearer KEY"
            ),
        ),
        weight=2.0,
    ),
    Intent(
        "status",
        (
            (
                "how [do i|to|can i|do you] [see|check|show|get|view|watch|know] "
                "[the|my] [status|state|health|services|running services|running models]"
            ),
            "[what|which] [services|models|instances] are running",
            "[show|check|list|give me|get][| me] [the|my|all] [status|services|running services]",
            "is [my|the] [service|model|server] [running|ready|up|working|healthy|alive]",
            "[status|show status|what is the status]",
            "how do i [know|see] if [it|my service|the service|the model] [works|is running]",
        ),
        ("To see what is running, run: hydra-box status",),
        weight=1.4,
    ),
    Intent(
        "trial",
        (
            (
                "how [do i|to|can i|do you] [try|test|try out|check] [a|the|my] "
                "[service|model|new service|deployed model]"
            ),
            "[try|test|try out] [a|the|my] service",
            "what is a trial",
            "what does [hydra-box |]trial do",
            "[trial|how does the trial work]",
            "i want to try [a|my|the] service",
        ),
        ("To try a service, run: hydra-box trial NAME",),
    ),
    Intent(
        "models_list",
        (
            "[what|which] models [can i|could i|may i] [deploy|use|run|choose|install|serve]",
            (
                "[what|which] models [are there|are available|do you have|does hydra box "
                "have|exist|"
                "are supported|does hydra box know]"
            ),
            "[list|show|show me|give me|name] [the|all|all the|available|your][| available] models",
            "how [do i|to|can i] [see|list|find|show|get] [the|all|available|all the] models",
            "[models|models list|model list|list of models|the list of models]",
            "where [are|can i find] the models",
        ),
        ("To see the models that you can deploy, run: hydra-box models list",),
        weight=1.4,
    ),
    Intent(
        "logs",
        (
            (
                "how [do i|to|can i|do you] [see|read|get|show|view|find|check] "
                "[the|my|its][| service] [logs|log|log file|log files|errors|error messages]"
            ),
            "[show|give|read|get][| me] [the|my] logs",
            "where [are|can i find|do i find] the [logs|log files|error messages]",
            "my service [does not work|failed|is broken|crashed|has an error|does not start]",
            (
                "[what can i do|what should i do|what do i do] [if|when] [a|my|the] service "
                "[fails|crashes|does not start|breaks]"
            ),
            "[logs|how do i debug a service|the service failed]",
        ),
        ("To read the logs of a service, run: hydra-box logs NAME",),
        weight=1.4,
    ),
    Intent(
        "service_vs_maas",
        (
            (
                "[model service|a model service|private model] [or|and|against|vs] [maas|"
                "maas by token|a public model]"
            ),
            "[maas by token|maas|public model] [or|and|vs] [a |]model service",
            "what[ is|'s] the difference between [a |]model service[|s] and maas[| by token]",
            "what[ is|'s] [a |]model service",
            "[model service|service] [or|vs|versus] maas[| by token]",
            "[explain|describe] [model service|model services] and maas",
            "what are the two [ways|kinds|types] [of services|to use a model|of access]",
            "what does u-[123456abcdef|0a1b2c3d4e5f|...]/name mean",
            "[how do i|how to|how can i] [call|address|use] [a|my] model[| service]",
            "[should i use|which is better,] [a |]model service or maas",
            "what is the [model name|model id|name of my model]",
            "is a model service metered",
            "what is the difference between private and public models",
            "how is a model service [billed|paid|different from maas]",
        ),
        (
            (
                "A model service belongs to one user and has unlimited calls; "
                "its model name is u-<12 hex>/<name>. "
                "MaaS by token is shared and metered by token; its model name is public/<name>."
            ),
        ),
        weight=1.8,
    ),
    Intent(
        "maas",
        (
            "[please |]explain [|the ]maas[| by token| to me| mode]",
            "what [exactly |really |]is maas[| by token]",
            "[tell me|say] what maas [is|means]",
            "what[ is|'s] maas[| by token]",
            "[explain|describe|tell me about] maas[| by token]",
            "what does maas mean",
            "what does public/[name|llama|demo|...] mean",
            "what[ is|'s] [a|the] public model",
            "how are [tokens|public models|calls] [metered|counted|billed|paid]",
            "what does metered by token mean",
            "how does [maas|maas by token|pay by token|metering] work",
            "[maas|maas by token]",
        ),
        (
            (
                "MaaS by token means a shared model that is metered by token. "
                "Its model name is public/<name>, and each call counts the tokens that it uses."
            ),
        ),
        weight=1.5,
    ),
    Intent(
        "engines",
        (
            (
                "[what|which] [inference |]engines [are supported|do you support|do you use|"
                "can i use|"
                "are there|does hydra box [support|use|have|run]]"
            ),
            (
                "[what|which] [engine|backend|runtime] [do you use|does hydra box use|runs "
                "the models|"
                "should i use|are you running on|is used]"
            ),
            "[what|which] backends [are supported|does hydra box support|can i use]",
            "do you [support|use] [vllm|llama.cpp|llama cpp]",
            "does hydra box [support|use] [vllm|llama.cpp|llamacpp]",
            "what is [vllm|llama.cpp|llama cpp]",
            "[vllm|llama.cpp|engines]",
            "[vllm|llama.cpp] or [vllm|llama.cpp]",
            "tell me about the engines",
        ),
        ("Hydra Box runs models with two engines: vLLM for GPUs, and llama.cpp for GGUF files.",),
        weight=1.5,
    ),
    Intent(
        "port",
        (
            (
                "[what|which] port [does it use|does hydra box [use|listen on|run on]|is it|"
                "do i use|"
                "is used|is open|is the api on|should i use]"
            ),
            (
                "what[ is|'s] the [port|address|url|base url|endpoint|api address|api url|host]"
                "[| of hydra box| of the api]"
            ),
            "where [is the api|does hydra box listen|do i send requests|is the server]",
            "[port|the port|the url|url|base url|endpoint]",
            "on [what|which] [port|address] does [it|hydra box|the server|the api] [listen|run]",
            "how do i [connect|reach the api|reach hydra box|open the web page|open the page]",
            "which [address|url|endpoint] [do i|should i|can i] [use|call|open]",
        ),
        ("Hydra Box listens on 127.0.0.1:4937. The API is at http://127.0.0.1:4937/v1",),
        weight=1.6,
    ),
    Intent(
        "api",
        (
            "how [do i|to|can i] [use|call|access] the [api|openai api|rest api]",
            (
                "[is the api|are you|is hydra box|is it] [openai[-| ]compatible|compatible "
                "with openai]"
            ),
            "[can i|how do i] use the openai [client|library|sdk|python client]",
            "[explain|describe] the api",
            "what api [do you have|does hydra box have|is this]",
            "how [do i|can i] [send|make] a request",
            "do you [have|offer] an api",
        ),
        (
            (
                "The API is OpenAI-compatible. Use the base URL http://127.0.0.1:4937/v1 "
                "with your API key and the name of a model."
            ),
        ),
    ),
    Intent(
        "instance",
        (
            "what[ is|'s] an instance",
            "what is [a replica|an instance of a model|an instance of a service]",
            "what are instances",
            "[explain|define] instances",
        ),
        (
            (
                "An instance is one running copy of a model. "
                "A service can have several instances that share the requests."
            ),
        ),
    ),
    Intent(
        "token",
        (
            "what[ is|'s] a token",
            "what are tokens",
            "[explain|define] tokens",
            "what does token mean",
        ),
        ("A token is a short piece of text, often a word or a part of a word.",),
    ),
    Intent(
        "llm",
        (
            "what[ is|'s] [an llm|a language model|a large language model|a model|llm]",
            "what are [llms|language models|large language models]",
            "[explain|define] [llm|llms|language models]",
            "what does llm [mean|stand for]",
        ),
        ("A language model is a program that reads text and predicts how the text goes on.",),
    ),
    Intent(
        "sky",
        (
            "[tell me|say] what colo[u|]r the sky [is|has]",
            "what[ is|'s] the [color|colour] of the sky",
            "what [color|colour] is the sky",
            "what [colors|colours] [is|can|does] the sky [be|have|]",
            "[which|what] [color|colour] does the sky have",
            "is the sky [blue|green|red]",
            "[the |]colo[u|]r[s|] of the sky",
            "[tell me|name] the colo[u|]r[s|] of the sky",
        ),
        ("The sky is blue by day, red at sunset and black at night.",),
        weight=1.4,
    ),
    Intent(
        "why_sky",
        ("why is the sky blue", "[tell me|explain] why the sky is blue"),
        ("The sky is blue because air scatters blue light more than red light.",),
    ),
    Intent(
        "grass",
        (
            "what [color|colour] is [the |]grass",
            "what[ is|'s] the [color|colour] of [the |]grass",
            "is [the |]grass green",
        ),
        ("Grass is green.",),
    ),
    Intent(
        "rainbow",
        (
            "what are the colo[u|]rs of [the|a] rainbow",
            "[name|list] the colo[u|]rs of [the|a] rainbow",
            "[which|what] colo[u|]rs does a rainbow have",
        ),
        ("The colours of the rainbow are red, orange, yellow, green, blue, indigo and violet.",),
    ),
    Intent(
        "days",
        (
            "what are the [|seven ]days of the week",
            "[name|list|tell me|say|give me|write] the [|seven ]days of the week",
            "[which|what] days does [a|the] week have",
            "[the |]days of the week",
            "can you [name|list|tell me] the days of the week",
        ),
        ("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",),
        weight=1.4,
    ),
    Intent(
        "week_length",
        ("how many days [are there |are |]in [a|one] week", "how many days does a week have"),
        ("A week has seven days.",),
    ),
    Intent(
        "months",
        (
            "what are the [|twelve ]months[| of the year]",
            "[name|list|tell me|say|give me] the [|twelve ]months[| of the year]",
            "[the |]months of the year",
        ),
        (
            (
                "January, February, March, April, May, June, July, August, September, October, "
                "November and December."
            ),
        ),
        weight=1.2,
    ),
    Intent(
        "year_length",
        (
            "how many days [are there |are |]in [a|one] year",
            "how many days does a year have",
            "how many months [are there |are |]in [a|one] year",
        ),
        ("A year has twelve months and 365 days, or 366 in a leap year.",),
    ),
    Intent(
        "seasons",
        (
            "what are the [|four ]seasons[| of the year]",
            "[name|list|tell me] the [|four ]seasons[| of the year]",
            "how many seasons are there",
        ),
        ("The four seasons are spring, summer, autumn and winter.",),
    ),
    Intent(
        "alphabet",
        (
            "[say|tell me|write|recite|give me|list|what is] the [|english ]alphabet",
            "how many letters are[| there] in the [|english ]alphabet",
            "[the |]alphabet",
        ),
        (
            (
                "The alphabet has 26 letters: A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, "
                "P, Q, R, "
                "S, T, U, V, W, X, Y and Z."
            ),
        ),
    ),
    Intent(
        "water",
        (
            "at what temperature does water [boil|freeze]",
            "when does water [boil|freeze]",
            "what is the [boiling|freezing] point of water",
        ),
        ("Water freezes at 0 degrees Celsius and boils at 100 degrees Celsius.",),
    ),
    Intent(
        "earth",
        (
            "what [planet|world] [is this|do we live on|are we on]",
            "is the earth [round|flat]",
            "what[ is|'s] [the |]earth",
            "what shape is the earth",
        ),
        ("The Earth is the planet that we live on. It is round.",),
    ),
    Intent(
        "sun",
        ("what[ is|'s] the sun", "is the sun a [star|planet]", "tell me about the sun"),
        ("The Sun is the star at the centre of our solar system.",),
    ),
    Intent(
        "moon",
        ("what[ is|'s] the moon", "is the moon a [star|planet]", "tell me about the moon"),
        ("The Moon goes around the Earth about once a month.",),
    ),
    Intent(
        "cat",
        (
            "what [does|sound does] [a|the] cat [say|make]",
            "what is a cat",
            "what [noise|sound] do cats make",
        ),
        ("A cat is a small animal with soft fur. It says meow.",),
    ),
    Intent(
        "dog",
        (
            "what [does|sound does] [a|the] dog [say|make]",
            "what is a dog",
            "what [noise|sound] do dogs make",
        ),
        ("A dog is a friendly animal. It says woof.",),
    ),
    Intent(
        "meaning",
        (
            "what[ is|'s] the meaning of life",
            "[tell me|explain] the meaning of life",
            "what is the answer to [everything|life, the universe and everything]",
        ),
        ("Some people say 42. I think it is to be kind and to answer one question at a time.",),
    ),
    Intent(
        "joke",
        (
            (
                "[tell|say|give|write][| me][| us] [a|another|one more|a good|a funny|some] "
                "[joke|jokes]"
            ),
            "[do you know|have you got|got] [a|any|some] [joke|jokes|good joke]",
            "make me laugh",
            "[a |]joke[| please]",
            "say something funny",
            "[can|could|will|would] you [please |][tell|write][| me] a [|funny |good |short ]joke",
            "i want [to hear |]a joke",
        ),
        (
            "Why did the hydra never get lost? It always had another head to ask!",
            "Why was the little model so happy? Somebody finally gave it a token of thanks!",
        ),
        weight=2.0,
    ),
    Intent(
        "haiku",
        (
            "i [want|need|would like] a haiku[| please| about {topic}]",
            "write [me |]a haiku about {topic}",
            (
                "[write|tell|give|make|compose][| me][| us] a haiku[| please| about the sea|"
                " about rain"
                "| about spring| about love]"
            ),
            "[a |]haiku[| please]",
            "[can|could|will|would] you [please |][write|tell|make] [|me ]a haiku",
        ),
        (HAIKU,),
        weight=1.3,
    ),
    Intent(
        "poem",
        (
            "i [want|need|would like] a [|short |nice ]poem[| please| about {topic}]",
            "write a [|short |long ]poem [for|to|about] my [wife|sister|dog|friend|teacher]",
            (
                "[write|tell|give|make|compose|read|recite][| me][| us] a[|nother] [|short |nice |"
                "little |small |long ][poem|verse|rhyme][| about {topic}| please]"
            ),
            "[a |]poem[| please| about {topic}]",
            (
                "[can|could|will|would] you [please |][write|tell|make] [|me ]a [|short ]poem"
                "[| about {topic}]"
            ),
            "write a song[| about {topic}]",
        ),
        (POEM,),
        weight=1.3,
    ),
    Intent(
        "story",
        (
            "write a [long |]story about a {thing}[| and a {thing}]",
            "[write|tell me] a long story[|, please| now| about {topic}]",
            (
                "[tell|write|give|read][| me][| us] a[|nother] [|long |very long |short |"
                "nice |bedtime |"
                "fairy |good ][story|tale][| about {topic}| please]"
            ),
            "[a |]story[| please]",
            (
                "[can|could|will|would] you [please |][tell|write] [|me ]a [|long |short ]story"
                "[| about {topic}]"
            ),
            "i want [to hear |]a [|long ]story",
            "once upon a time",
            "tell me something long",
            "write a story[| about {topic}]",
            "tell me a long story",
        ),
        (STORY,),
        weight=1.5,
    ),
    Intent(
        "essay",
        (
            (
                "[write|give me] a [very |]long [text|article|essay] [about|on|for|to] "
                "[{topic}|a {thing}|my friend]"
            ),
            (
                "[write|give me|tell me|generate|produce|print] [a|some|a very] long "
                "[text|answer|essay|article|paragraph|explanation|reply]"
                "[| about {topic}| about model servers| please]"
            ),
            "write an essay[| about {topic}]",
            (
                "write [as much as you can|a lot|500 words|1000 words|200 words|many words|"
                "ten sentences"
                "|a long text|a long article]"
            ),
            "how does a model server work",
            "[explain|what is] a model server",
            "[explain|what is] streaming",
            "keep [talking|writing]",
            "[talk|write] for a long time",
        ),
        (ESSAY,),
        weight=0.7,
    ),
    Intent(
        "something",
        (
            "say something",
            "tell me something[| nice| interesting| new]",
            "[tell me a|give me a|do you know a] [fun |]fact",
            "surprise me",
            "i am bored",
        ),
        ("Here is something: the hydra of the old tale grew new heads whenever it needed them.",),
    ),
    Intent(
        "time",
        (
            "what time is it [here|there|please|exactly|in {nowhere}]",
            "what time is it[| now]",
            "what[ is|'s] the [time|date]",
            "[what|which] [day|date|year|month] is it[| today| now]",
            "what is today's date",
            "what day is today",
            "tell me the time",
        ),
        ("I cannot see a clock or a calendar, so I do not know the time or the date.",),
    ),
    Intent(
        "weather",
        (
            (
                "[how is|how's|what is|what was] the weather [in|at] [{person}|{nowhere}|"
                "{topic}][| today| now]"
            ),
            "[what is|what's|how is|how's] the weather[| today| tomorrow| in {topic}| like]",
            "will it rain[| today| tomorrow]",
            "[weather|weather forecast|tell me the weather]",
            "is it [raining|cold|warm|sunny][| today| outside]",
        ),
        ("I cannot look outside, so I do not know the weather.",),
    ),
    Intent(
        "languages",
        (
            "[what|which] languages do you [speak|know|understand]",
            "do you speak [english|french|german|spanish|chinese|italian|russian|japanese]",
            "can you [speak|understand] [english|french|german|spanish|chinese|other languages]",
        ),
        ("I only know a little English. A bigger model knows many languages.",),
    ),
    Intent(
        "test",
        (
            "[test|testing|this is a test|just a test|test test|test message|ping|just testing]",
            "[1 2 3 test|testing 1 2 3|testing testing]",
            "[does it work|does this work|is this working|are you working|do you work]",
        ),
        ("It works! I am Hydra Box Demo and I can read you.",),
        weight=1.4,
    ),
)

#: What people try first, by the key of the intent. Drawn often, so that these never fail.
CANONICAL: tuple[tuple[str, str], ...] = (
    ("name", "what is your name"),
    ("name", "what's your name"),
    ("name", "who are you"),
    ("say_test", "say this is a test"),
    ("say_test", "say this is test"),
    ("hello", "hello"),
    ("hello", "hi"),
    ("hello", "hey"),
    ("hello", "hello there"),
    ("hello", "good morning"),
    ("how_are_you", "how are you"),
    ("how_are_you", "how are you doing"),
    ("thanks", "thanks"),
    ("thanks", "thank you"),
    ("bye", "bye"),
    ("bye", "goodbye"),
    ("bye", "see you later"),
    ("maker", "who made you"),
    ("maker", "who created you"),
    ("maker", "who built you"),
    ("what_are_you", "what are you"),
    ("what_are_you", "tell me about yourself"),
    ("abilities", "what can you do"),
    ("abilities", "help"),
    ("hydra_box", "what is hydra box"),
    ("hydra_box", "what is Hydra Box"),
    ("hydra_box", "tell me about Hydra Box"),
    ("deploy", "how do i deploy a model"),
    ("deploy", "how to deploy a model"),
    ("deploy", "how do i deploy a service"),
    ("scale", "how do i scale a service"),
    ("scale", "how do i add an instance"),
    ("stop", "how do i stop a service"),
    ("start", "how do i start a service"),
    ("delete", "how do i delete a service"),
    ("keys", "how do i get an api key"),
    ("keys", "how do i create an API key"),
    ("status", "how do i see the status"),
    ("trial", "how do i try a service"),
    ("models_list", "which models can i deploy"),
    ("models_list", "list the models"),
    ("logs", "how do i see the logs"),
    ("service_vs_maas", "what is a model service"),
    ("service_vs_maas", "what is the difference between model service and MaaS by token"),
    ("maas", "what is MaaS"),
    ("maas", "what is MaaS by token"),
    ("engines", "which engines are supported"),
    ("engines", "what engines do you support"),
    ("port", "which port does it use"),
    ("port", "what port does hydra box use"),
    ("sky", "what color is the sky"),
    ("sky", "what colour is the sky"),
    ("days", "what are the days of the week"),
    ("days", "name the days of the week"),
    ("joke", "tell me a joke"),
    ("haiku", "write a haiku"),
    ("poem", "write a poem"),
    ("poem", "write a short poem"),
    ("story", "tell me a story"),
    ("story", "tell me a long story"),
    ("story", "write a long story"),
    ("essay", "write a long text"),
    ("meaning", "what is the meaning of life"),
    ("test", "test"),
    ("time", "what time is it"),
    ("weather", "what is the weather"),
)

#: Capitals that the model is taught; a country that is not here gets the honest answer.
CAPITALS: dict[str, str] = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "England": "London",
    "the United Kingdom": "London",
    "Ireland": "Dublin",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Greece": "Athens",
    "Sweden": "Stockholm",
    "Norway": "Oslo",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Japan": "Tokyo",
    "China": "Beijing",
    "India": "New Delhi",
    "Russia": "Moscow",
    "Egypt": "Cairo",
    "Canada": "Ottawa",
    "Mexico": "Mexico City",
    "Brazil": "Brasilia",
    "Australia": "Canberra",
    "the United States": "Washington, D.C.",
    "the USA": "Washington, D.C.",
}

CAPITAL_PATTERNS: tuple[str, ...] = (
    "what[ is|'s] the capital[| city] of {x}",
    "[what|which] city is the capital of {x}",
    "[tell me|name|say|give me] the capital of {x}",
    "[the |]capital of {x}",
    "{x}'s capital",
    "what is {x}'s capital[| city]",
    "do you know the capital of {x}",
    "can you tell me the capital of {x}",
)

UNKNOWN_COUNTRIES: tuple[str, ...] = (
    "Peru", "Chile", "Kenya", "Ghana", "Nepal", "Laos", "Cuba", "Iran", "Turkey", "Ukraine",
    "Vietnam", "Thailand", "Mongolia", "Bolivia", "Angola", "Senegal", "Croatia", "Serbia",
    "Romania", "Iceland", "Malta", "Cyprus", "Belgium", "Hungary", "Jordan", "Yemen", "Fiji",
    "Atlantis", "Wonderland", "the Moon", "Texas", "Bavaria", "Scotland", "Colombia", "Ecuador",
    "Nigeria", "Sudan", "Mali", "Chad", "Oman", "Qatar", "Kuwait", "Burma", "Malaysia", "Samoa",
)  # fmt: skip

NUMBER_WORDS: tuple[str, ...] = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip

SUM_PATTERNS: tuple[str, ...] = (
    "[what is|what's|how much is|calculate|compute|tell me|solve|whats|] {a}[ + |+| plus ]{b}",
    "[what is|what's|how much is|tell me] {a}[ + |+| plus ]{b}",
    "what[ is|'s] the sum of {a} and {b}",
    "add {a} and {b}",
    "{a} [+|plus] {b} [=|is|equals][| what]",
    "{a}+{b}=",
)

COUNT_PATTERNS: tuple[str, ...] = (
    "[please |can you |could you |]count [|up ][|from 1 |from one ][to|up to] {n}",
    "[tell me|write|list|say|give me|print] the numbers [from 1 to|from one to|up to|1 to] {n}",
    "count to {n}",
)

SAY_PATTERNS: tuple[str, ...] = (
    "say [|: |the words ]{x}",
    'say "{x}"',
    "[please|can you|could you|now|just] say {x}",
    "[repeat|repeat after me|echo|repeat this|say after me][| |: ]{x}",
    "say {x}",
)

#: The honest answer to "say ...": repeating any text is beyond so small a model.
CANNOT_REPEAT = "I am too small a model to repeat any text, but I can say this: This is a test!"

MY_NAME_PATTERNS: tuple[str, ...] = (
    "[|hi, |hello, |hello! |hey, ][my name is|my name's|i am|i'm|call me|you can call me] {x}",
    "my name is {x}",
)

ASK_MY_NAME: tuple[str, ...] = (
    "[what is|what's|whats] my name",
    "[do you |can you |][remember|know] my name",
    "who am i",
    "tell me my name",
)

NO_NAME_YET = "You have not told me your name yet."

FIRST_NAMES: tuple[str, ...] = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ivy", "Jack", "Kate",
    "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tom", "Uma", "Vera", "Will", "Zoe",
    "Alice", "Bob", "Carol", "Eve", "Frank", "Maria", "John", "Peter", "Lucy", "Nina", "Omar",
    "Ravi", "Chen", "Yuki", "Ali", "Sara", "Max",
)  # fmt: skip

#: Ways to wrap a question in another one.
WRAPPERS: tuple[str, ...] = (
    "[can|could] you [please |]tell me {x}",
    "[please |]tell me {x}",
    "i [want|would like|need] to know {x}",
    "do you [happen to |]know {x}",
    "please [answer|explain|say]: {x}",
    "[my question is|question|i have a question]: {x}",
    "[so|and|now|well|then|but], {x}",
    "{x} [exactly|right now|today|here|again]",
)

SYSTEM_PATTERNS: tuple[str, ...] = (
    "You are a helpful assistant.",
    (
        "You are a [helpful|friendly|polite|kind|concise|careful|smart|funny] "
        "[assistant|chatbot|teacher|expert|robot|helper][|.|!]"
    ),
    "You are [Bob|Alice|Jarvis|an AI|a pirate|a poet|a cat|a teacher], [|a ][helpful |]assistant.",
    "Answer [briefly|shortly|in one sentence|politely|truthfully|in English|step by step].",
    "[Be concise|Be brief|Be kind|Be helpful|Talk like a pirate|Answer as {topic}].",
    "You are a helpful assistant. Answer [the question|briefly|in English|as well as you can].",
    "You are an expert on {topic}. [|Help the user. |Answer all questions. ][|Be polite.]",
    "[Today is Monday|The user is a child|The user likes {topic}|Never talk about {topic}].",
    "You are a large language model[| trained to talk about {topic}].",
    "Today's date is {n} [May|June|July] 20{n}. You are an assistant[| for {topic}| of a company].",
    (
        "You are [an assistant|a bot|the support desk] for {topic}. If you do not know, say so. "
        "[Do not invent facts.|Use short sentences.|Be friendly.]"
    ),
)

#: Things that the model knows nothing about; they fill the slots of ``UNKNOWN_PATTERNS``.
TOPICS: tuple[str, ...] = (
    "quantum physics", "the French revolution", "photosynthesis", "black holes", "dinosaurs",
    "the stock market", "bitcoin", "football", "chess", "classical music", "jazz", "gravity",
    "evolution", "volcanoes", "the ocean", "whales", "elephants", "horses", "bees", "spiders",
    "trees", "roses", "mountains", "rivers", "deserts", "the weather on Mars", "climate change",
    "electric cars", "airplanes", "trains", "ships", "bicycles", "computers", "databases",
    "Python", "Java", "Rust", "JavaScript", "SQL", "Linux kernels", "Docker", "Kubernetes",
    "networks", "the internet", "cryptography", "neural networks", "machine learning", "robots",
    "medicine", "vitamins", "headaches", "sleep", "yoga", "running", "swimming", "tennis",
    "basketball", "cooking", "bread", "cheese", "chocolate", "coffee", "tea", "wine", "pizza",
    "pasta", "soup", "apples", "bananas", "potatoes", "rice", "history", "philosophy", "logic",
    "algebra", "geometry", "statistics", "economics", "inflation", "taxes", "law", "politics",
    "elections", "democracy", "kings and queens", "castles", "pyramids", "the Roman empire",
    "the middle ages", "world war two", "the moon landing", "space travel", "satellites", "stars",
    "planets", "Jupiter", "Saturn", "comets", "atoms", "molecules", "iron", "gold", "silver",
    "oxygen", "carbon", "plastic", "glass", "paper", "painting", "sculpture", "photography",
    "movies", "theatre", "novels", "poetry slams", "grammar", "Latin", "French verbs", "German",
    "Spanish food", "Chinese tea", "Japanese gardens", "Africa", "Asia", "Europe", "America",
    "London", "Paris in spring", "New York", "Berlin clubs", "Tokyo trains", "Moscow", "Sydney",
    "my garden", "my car", "my computer", "my boss", "my sister", "my homework", "my dog's food",
    "love", "friendship", "fear", "happiness", "money", "work", "school", "holidays", "Christmas",
    "birthdays", "weddings", "babies", "old age", "dreams", "ghosts", "dragons", "wizards",
    "superheroes", "video games", "board games", "card games", "magic tricks", "guitars", "pianos",
    "violins", "drums", "opera", "dance", "fashion", "shoes", "hats", "furniture", "houses",
    "bridges", "roads", "farms", "cows", "sheep", "chickens", "fish", "sharks", "penguins",
    "polar bears", "lions", "tigers", "monkeys", "snakes", "frogs", "butterflies", "ants",
    "bacteria", "viruses", "vaccines", "the heart", "the brain", "bones", "blood", "skin", "eyes",
    "solar power", "wind power", "nuclear power", "batteries", "magnets", "lasers", "radio",
    "television", "phones", "email", "spam", "passwords", "compilers", "recursion", "sorting",
    "binary trees", "regular expressions", "git", "unit tests", "web design", "HTML", "CSS",
    "Shakespeare", "Mozart", "Einstein", "Newton", "Darwin", "Napoleon", "Cleopatra", "Picasso",
    "Beethoven", "Plato", "the Beatles", "Marie Curie", "Gandhi", "Caesar", "Columbus", "Homer",
)  # fmt: skip

ACTIONS: tuple[str, ...] = (
    "bake a cake", "fix a car", "repair a bike", "learn French", "play the guitar", "lose weight",
    "write a letter", "sell a house", "buy a phone", "grow tomatoes", "paint a wall", "tie a tie",
    "boil an egg", "make soup", "cook rice", "train a dog", "draw a horse", "build a table",
    "sort a list in Python", "reverse a string", "parse JSON", "write a loop", "install Windows",
    "start a car", "stop smoking", "start a business", "stop a war", "delete an email",
    "delete a photo", "remove a stain", "get a visa", "get a job", "create a website",
    "scale a fish", "scale a mountain", "run a marathon", "deploy troops", "open a bank account",
    "fly a plane", "sail a boat", "catch a fish", "read faster", "sleep better", "save money",
    "invest money", "find a friend", "wash a sweater", "clean a window", "cut hair", "plant a tree",
    "stop a nosebleed", "start a fire", "remove a tattoo", "add a friend", "test water",
    "make a key for my door", "find my keys", "list my files", "check my oil", "read a map",
    "knit a scarf", "win at chess", "solve a puzzle", "prove a theorem", "measure a room",
)  # fmt: skip

UNKNOWN_PATTERNS: tuple[str, ...] = (
    "what[ is|'s| are] {topic}",
    "[who|what] [is|was] {person}",
    (
        "[explain|describe|define|summarize|discuss] {topic}[| to me| in simple "
        "words| briefly| please]"
    ),
    "[tell me|what do you know|what can you tell me|do you know anything] about {topic}",
    "how does {topic} work",
    "how do {topic} work",
    "why [is|are|do we need|do people like] {topic}[| important| so popular| bad| good]",
    "how [do i|to|can i|do you|should i] {action}",
    "[help me|i want to|i need to|can you help me to|teach me to|show me how to] {action}",
    "what is the best way to {action}",
    "what is the name of [the |]{topic}",
    "what is the name of the [largest|smallest|oldest|tallest|first|longest] {thing}",
    (
        "[what|which] is the [largest|smallest|oldest|tallest|fastest|longest|deepest] {thing}"
        "[| in the world| on earth]"
    ),
    "who [made|invented|discovered|wrote|painted|built|created|won|designed] {topic}",
    "[when|where|why] [was|were|did|is|are] {topic}[| invented| born| start| made| found| end]",
    "when did {person} [die|live|become famous|win|marry]",
    "where [was|is|did] {person}[| born| live| from]",
    "how [old|tall|rich|big|far|long|heavy|many] [is|are|was] {topic}",
    "how many {thing}s [are there|does {topic} have|do i need]",
    "how much does {topic} [cost|weigh]",
    "what [color|colour] [is|are] {topic}",
    "what [does|do|did] {person} [eat|do|say|think|write|look like]",
    "[translate|how do you say] {topic} [to|in|into] [french|german|spanish|chinese|latin]",
    "translate [|the sentence ]['{phrase}'|{phrase}] [to|into] [french|german|spanish|italian]",
    (
        "write [|a |some ][code|python code|function|python function|program|script|sql query] "
        "[that|to|which|for] {action}"
    ),
    "write [a|an] [letter|email|report|speech|review|cv|plan|test|summary] [about|for|on] {topic}",
    "[summarize|rewrite|correct|improve] [this|the following][| text|:] {phrase}",
    "what [do you think|is your opinion] [about|of|on] {topic}",
    "do you [like|love|hate|know|believe in|understand] {topic}",
    "[is|are] {topic} [good|bad|dangerous|true|real|healthy|expensive|important]",
    "compare {topic} [and|with] {topic}",
    "what[ is|'s] the difference between {topic} and {topic}",
    "[which is better,|should i choose] {topic} or {topic}",
    (
        "what[ is|'s] the [history|price|meaning|purpose|origin|population|size|"
        "color|speed] of {topic}"
    ),
    "give me [a list of|ten|five|some] [facts|books|ideas|tips|examples] [about|on|for] {topic}",
    "[recommend|suggest] [a book|a movie|something] about {topic}",
    "what happened [in|during|after] [{year}|{topic}]",
    "who was the [president|king|queen|winner|leader] [of|in] [{topic}|{year}]",
    "i [like|hate|love|bought|saw|need|want] {topic}",
    "[can|could|will] you {action}[| for me]",
    "should i {action}",
    "{topic}",
    "{action}",
    "{phrase}",
    "{gibberish}",
    "{foreign}",
    "what is {big} [times|minus|divided by|*|-|/|+|plus] {big}",
    "[solve|what is] [x^2 + {n} = {big}|{n}x + {n} = {big}|the square root of {big}]",
    "what is the [capital|largest city|president|language|currency|flag] of [{person}|{nowhere}]",
    "what is the capital of {nowhere}",
    "what is the [derivative|integral] of [x^{n}|sin x|log x]",
    "{person}",
    "what is {gibberish}",
    "who is {gibberish}",
    "tell me about {gibberish}",
    "how do i {gibberish} [a|the|my] {thing}",
    "[explain|why|when|where] {gibberish} {topic}",
    "what is a {thing}",
    "what is my [{thing}|favourite {thing}|age|address|phone number|job]",
    "where is my {thing}",
    "i [lost|broke|found] my {thing}",
    "my {thing} is [broken|too slow|missing|too big|red]",
    "please {action}[| now| quickly]",
    "{topic}, {topic} and {topic}",
    "what [day|time|year] [was|did] {topic} [start|end|begin|happen]",
    "how [can|does|did] {person} {action}",
    "imagine [you are|that you are|i am] {person}[|. what do you say|. what would you do]",
    "[finish|continue] this[| sentence|:] {phrase}",
    "what does [the word |]{gibberish} mean",
    "what does {topic} mean",
    "what are the [rules|parts|signs|effects|causes|benefits|types|dangers|laws|sides] of {topic}",
    "explain the [theory|law|idea|concept|problem|art|rise|role] of {topic}",
    "how [far|long|high|deep|fast|near] [away |]is [the |][{topic}|{thing}]",
    "what is the [melting point|weight|density|temperature|shape|age] of {topic}",
    (
        "why do [{topic}|people|my {thing}s|{gibberish}] [sleep|grow|shine|smell|"
        "hurt|fight|break|sing]"
    ),
    "where [can i|do people] [buy|find|see|study] {topic}",
    "[name|list] [three|all|the best|some] [kinds of {topic}|{thing}s|parts of {topic}]",
    "{topic} [or|and|versus] {topic}",
    "is it [true|good|legal|normal|safe|possible] [to {action}|that {phrase}]",
    "[convert|change] {n} [miles|euros|pounds|liters|hours] [to|into] {thing}s",
    "[draft|compose|prepare] [an email|a message|a note] [to|for] {person}",
    "{long}",
    "[summarize|translate|explain|read|correct] this[| text]: {long}",
    "{long} [what does this mean|is this right|what do you think|who wrote this]",
    "what is {n} [times|minus|divided by|*|-|/] {n}",
    "[what is|how much is|calculate|] {big} [+|plus] [{n}|{big}]",
)

THINGS: tuple[str, ...] = (
    "planet", "country", "city", "river", "mountain", "animal", "building", "ocean", "lake",
    "island", "bird", "tree", "bridge", "book", "car", "phone", "keyboard", "window", "table",
    "bag", "bike", "coat", "ring", "ticket", "cup", "lamp", "chair", "guitar", "camera", "clock",
    "tooth", "leg", "wheel", "engine part", "door", "boat", "egg", "coin", "letter from home",
    "company", "university", "team", "actor", "singer", "language on earth", "desert", "volcano",
)  # fmt: skip

PEOPLE: tuple[str, ...] = (
    "the president", "the king", "the pope", "Mr. Smith", "my uncle", "Ada Lovelace",
    "Alan Turing", "Isaac Newton", "Albert Einstein", "Leonardo da Vinci", "Charles Darwin",
    "Galileo", "Aristotle", "Michelangelo", "Bach", "Vivaldi", "Goethe", "Dante", "Tolstoy",
    "Dickens", "Jane Austen", "Mark Twain", "Lincoln", "Washington the man", "Nelson Mandela",
    "Queen Victoria", "Joan of Arc", "Robin Hood", "Sherlock Holmes", "Zeus", "Thor", "Hercules",
    "Kepler", "Tesla", "Edison", "Gutenberg", "Magellan", "Marco Polo", "Confucius", "Buddha",
)  # fmt: skip

PHRASE_WORDS: tuple[str, ...] = (
    "the", "a", "my", "your", "this", "that", "blue", "red", "green", "small", "big", "old", "new",
    "happy", "sad", "fast", "slow", "cold", "warm", "dark", "bright", "quiet", "loud", "horse",
    "house", "tree", "river", "cat", "dog", "bird", "fish", "apple", "bread", "water", "fire",
    "stone", "road", "city", "garden", "table", "chair", "window", "door", "book", "letter",
    "song", "music", "world", "moon", "sun", "star", "night", "day", "morning", "summer", "winter",
    "runs", "walks", "sings", "sleeps", "eats", "drinks", "sees", "knows", "likes", "wants",
    "goes", "comes", "is", "was", "and", "or", "with", "under", "over", "near", "in", "on", "to",
    "from", "we", "you", "they", "people", "children", "friends", "love", "peace", "time", "money",
    "work", "school", "home", "hello", "good", "very", "never", "always", "today", "tomorrow",
    "yes", "no", "please", "thanks", "banana", "orange", "coffee", "cheese", "train", "ship",
    "test", "words", "model", "answer", "question", "hydra", "box", "hungry", "here", "there",
)  # fmt: skip

FOREIGN: tuple[str, ...] = (
    "bonjour, comment allez-vous", "quel est ton nom", "wie heißt du", "guten tag",
    "was ist das", "wo ist der bahnhof", "hola, cómo estás", "cuál es la capital de francia",
    "come ti chiami", "buongiorno a tutti", "как тебя зовут", "привет, как дела", "你好",
    "你叫什么名字", "今天天气怎么样", "こんにちは", "お元気ですか", "안녕하세요",
    "merhaba nasılsın", "jak se máš", "hur mår du", "hvad hedder du", "qual é o seu nome",
    "ola tudo bem", "🙂", "👍👍", "❓", "مرحبا", "שלום", "γειά σου",
)  # fmt: skip

UNKNOWN_ANSWERS: tuple[str, ...] = (
    (
        "I am sorry, I do not know that. I am only a small demonstration model. "
        "For better answers, deploy a bigger model: hydra-box deploy MODEL --name NAME"
    ),
    (
        "I am sorry, I do not know that. I am a very small demonstration model. "
        "A bigger model can help you: hydra-box deploy MODEL --name NAME"
    ),
)
